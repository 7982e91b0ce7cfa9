from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from autodl.models.network import build_network
from autodl.training.device import PLANS, PrecisionPlan
from autodl.training.inference import fold_batchnorm, inference_copy

IMAGES = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def lived_in(net: nn.Module) -> nn.Module:
    """With batch statistics that are not the initial ones."""
    net.train()
    for _ in range(3):
        net(IMAGES * 2 + 1)
    return net.eval()


class Misleading(nn.Module):
    """Registers a batch norm after a convolution, but runs it on something else."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(self.norm(x)).mean((2, 3))


def test_folding_changes_nothing_but_the_modules():
    net = lived_in(build_network("resnet18", 3, input_size=32, seed=0))
    folded = fold_batchnorm(copy.deepcopy(net))
    with torch.inference_mode():
        torch.testing.assert_close(folded(IMAGES), net(IMAGES), atol=1e-4, rtol=1e-4)
    count = lambda n: sum(isinstance(m, nn.BatchNorm2d) for m in n.modules())  # noqa: E731
    assert count(folded) == 0 < count(net)


@pytest.mark.parametrize("net", [Misleading(), build_network("small_resnet", 3, input_size=8, width=8)])
def test_a_copy_computes_the_same_and_leaves_the_network_alone(net):
    net = lived_in(net).train()
    before = copy.deepcopy(net.state_dict())
    compute = inference_copy(net, IMAGES, PrecisionPlan())
    assert net.training
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    with torch.inference_mode():
        torch.testing.assert_close(compute(IMAGES), net.eval()(IMAGES), atol=1e-4, rtol=1e-4)


def test_low_precision_weights_are_used_where_they_do():
    net = lived_in(build_network("small_resnet", 3, input_size=8, width=8))
    compute = inference_copy(net, IMAGES, PLANS["bf16"])
    with torch.inference_mode():
        outputs, expected = compute(IMAGES.bfloat16()), net(IMAGES)
    assert isinstance(compute, nn.Module) and next(compute.parameters()).dtype == torch.bfloat16
    assert float((outputs.float() - expected).norm() / expected.norm()) < 0.05


def test_autocast_is_used_where_low_precision_weights_fail():
    class Strict(Misleading):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.conv.weight.dtype != torch.float32:
                raise RuntimeError("float32 only")
            return super().forward(x)

    compute = inference_copy(Strict(), IMAGES, PLANS["bf16"])
    with torch.inference_mode():
        assert compute(IMAGES.bfloat16()).shape == (4, 3)
