from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from autodl.models.fold import fold_batch_norm
from autodl.models.network import build_network


def norms(net: nn.Module) -> int:
    return sum(isinstance(m, nn.BatchNorm2d) for m in net.modules())


def with_statistics(net: nn.Module, x: Tensor) -> nn.Module:
    """Statistics and scales as training would leave them: nothing is one or zero."""
    generator = torch.Generator().manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.uniform_(-0.5, 0.5, generator=generator)
    net.train()(x)
    return net


@pytest.mark.parametrize("name", ["small_resnet", "efficientnet_lite0", "resnet18"])
def test_folding_keeps_the_function_and_leaves_the_original(name: str) -> None:
    x = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    net = with_statistics(build_network(name, 3, input_size=32, seed=0), x)
    folded = fold_batch_norm(net, x)
    assert norms(folded) == 0
    assert norms(net) > 0
    assert net.training
    with torch.no_grad():
        expected = net.eval()(x)
        torch.testing.assert_close(folded(x), expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


class OtherOrder(nn.Module):
    """Registers convolution and norm side by side but runs the norm first."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(torch.relu(self.bn(x)))  # type: ignore[no-any-return]


def test_a_net_that_runs_in_another_order_is_left_unfolded() -> None:
    x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    net = with_statistics(OtherOrder(), x)
    copy = fold_batch_norm(net, x)
    assert norms(copy) == 1
    assert not copy.training
    with torch.no_grad():
        assert torch.equal(copy(x), net.eval()(x))
