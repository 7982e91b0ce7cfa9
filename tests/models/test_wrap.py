from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from autodl.errors import TrialError
from autodl.models.classifier import Preprocessing
from autodl.models.network import build_network
from autodl.models.wrap import wrap_module


def conv_net(classes: int = 3, channels: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, classes)
    )


class Scaled(nn.Module):
    """Does something to the output of its last linear layer: it cannot be split there."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.mean((2, 3))) * 2  # type: ignore[no-any-return]


class Twice(Scaled):
    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.layer(x.mean((2, 3))))  # type: ignore[no-any-return]


class Odd(nn.Module):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"logits": x}


@pytest.mark.parametrize(("module", "splits"), [(conv_net(), True), (Scaled(), False), (Twice(), False)])
def test_a_wrapped_module_gives_its_own_logits(module: nn.Module, splits: bool) -> None:
    x = torch.randn(2, 3, 8, 8)
    net = wrap_module(module, 3, 8)
    assert net.splits is splits
    assert net.num_classes == 3
    with torch.no_grad():
        assert torch.equal(net.eval()(x), module.eval()(x))


def test_the_users_module_is_not_changed() -> None:
    module = conv_net()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    net = wrap_module(module, 3, 8)
    assert module.training
    with torch.no_grad():
        net.head.weight.zero_()  # type: ignore[operator,union-attr]
    assert all(torch.equal(module.state_dict()[k], v) for k, v in before.items())
    assert isinstance(module[4], nn.Linear)


def test_stages_and_map() -> None:
    net = wrap_module(conv_net(channels=1), 3, 8, channels=1)
    assert net.stage_names == ("module.0", "module.1")
    assert net.feature_dim == 144
    assert isinstance(net.cam_layer, nn.ReLU)
    assert net.preprocessing.channels == 1
    assert wrap_module(Scaled(), 3, 8).cam_layer is None


def test_preprocessing_can_be_given() -> None:
    prep = Preprocessing(8, mean=(0.0,) * 3, std=(1.0,) * 3)
    assert wrap_module(conv_net(), 3, 8, preprocessing=prep).preprocessing is prep


def test_a_classifier_is_taken_as_it_is() -> None:
    net = build_network("small_resnet", 3, input_size=8, width=4)
    assert wrap_module(net, 3, 8) is net
    with pytest.raises(TrialError, match="4 classes"):
        wrap_module(net, 4, 8)


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(TrialError, match=r"Sequential turns .*\(2, 3\).*5 classes.*num_classes=5"):
        wrap_module(conv_net(), 5, 8)
    with pytest.raises(TrialError, match=r"Sequential fails on images of shape \(2, 3, 9, 9\).*RuntimeError"):
        wrap_module(conv_net(), 3, 9)
    with pytest.raises(TrialError, match=r"Odd returns dict; it must return logits"):
        wrap_module(Odd(), 3, 8)
