from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from autodl.errors import OptionError
from autodl.models.classifier import Backbone, Classifier, Preprocessing
from autodl.models.gradcam import grad_cam
from autodl.models.network import build_network
from autodl.models.wrap import wrap_module


class Brightness(nn.Module):
    """Pools each channel: class 0 is red, class 1 is green, and Grad-CAM must see just those pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu_(self.map(x)).mean((2, 3))


def colour_net() -> Classifier:
    head = nn.Linear(3, 2)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    return Classifier(Backbone(Brightness(), (), "map"), head, Preprocessing(16))


def test_it_finds_what_speaks_for_the_class() -> None:
    x = torch.zeros(1, 3, 16, 16)
    x[0, 0, :4, :4] = 2.0  # red in one corner
    x[0, 1, 12:, 12:] = 1.0  # green in the other
    net = colour_net().train()
    for parameter in net.parameters():
        parameter.requires_grad_(False)  # a frozen network can be explained as well
    red, green = grad_cam(net, x, 0), grad_cam(net, x, 1)
    assert red.shape == green.shape == (16, 16)
    assert red.dtype == np.float32
    assert red[:4, :4].min() == 1.0
    assert red[4:, :].max() == 0.0
    assert green[12:, 12:].min() == 1.0
    assert green[:12].max() == 0.0
    assert net.training
    assert x.grad is None


def test_nothing_for_the_class_is_all_zero() -> None:
    assert grad_cam(colour_net(), torch.zeros(1, 3, 16, 16), 0).max() == 0.0


@pytest.mark.parametrize(
    ("name", "size"),
    [("small_resnet", 16), ("resnet18", 64), ("swin_t", 64), ("vit_b_32", 96), ("densenet121", 64)],
)
def test_every_kind_of_network_can_be_explained(name: str, size: int) -> None:
    net = build_network(name, 2, input_size=size, seed=0)
    if name == "vit_b_32":
        with torch.no_grad():  # torchvision starts with a head's input that is the class token alone
            net.head.weight.normal_(generator=torch.Generator().manual_seed(0))  # type: ignore[operator,union-attr]
    x = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(1))
    maps = [grad_cam(net, x, index) for index in (0, 1)]
    for cam in maps:
        assert cam.shape == (size, size)
        assert np.isfinite(cam).all()
        assert 0.0 <= cam.min() <= cam.max() <= 1.0
    assert max(cam.max() for cam in maps) == pytest.approx(1.0)
    assert all(p.grad is None for p in net.parameters())


def test_wrong_arguments_are_named() -> None:
    net = colour_net()
    with pytest.raises(OptionError, match="one image"):
        grad_cam(net, torch.zeros(2, 3, 16, 16), 0)
    with pytest.raises(OptionError, match=r"\[0, 2\), got 2"):
        grad_cam(net, torch.zeros(1, 3, 16, 16), 2)
    flat = wrap_module(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), 2, 2)
    with pytest.raises(OptionError, match="no layer with a spatial map"):
        grad_cam(flat, torch.zeros(1, 3, 2, 2), 0)
