"""FBNet, MobileNetV3, MnasNet, and the blocks they are made of."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import nn

from autodl.errors import UnknownNameError
from autodl.nas.spaces import FBNet, MnasNet, MobileNetV3
from autodl.nas.spaces.mbconv import activation, mbconv
from autodl.testing.nas import SpaceContract

SIDE = 8


@functools.cache
def small_space(factory):
    return factory.space(num_classes=3, side=8)


class Mobile(SpaceContract):
    num_archs = 2

    def inputs(self):
        return (torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)),)


class TestFBNet(Mobile):
    def make(self):
        return small_space(FBNet())


class TestMobileNetV3(Mobile):
    def make(self):
        return small_space(MobileNetV3())


class TestMnasNet(Mobile):
    def make(self):
        return small_space(MnasNet())


def parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def large(factory):
    with torch.device("meta"):
        return factory.space(num_classes=1000, side=224)


def test_sizes_are_the_papers() -> None:
    assert large(FBNet(size="large")).size() == 9**22
    assert large(MobileNetV3(size="large")).size() == (9**2 + 9**3 + 9**4) ** 5
    of_layers = [1 + 3, 1 + 3 + 3, 9, 9, 9, 9, 1 + 3]
    expected = 1
    for ways in of_layers:
        expected *= 4 * 2 * 2 * 3 * ways
    assert large(MnasNet(size="large")).size() == expected


FBNET_C = """
stage1: k3_e1
stage2: k3_e6 skip k3_e1 k3_e1
stage3: k5_e6 k5_e3 k5_e6 k3_e6
stage4: k5_e6 k5_e3 k5_e6 k5_e6
stage5: k5_e6 k5_e6 k5_e6 k5_e3
stage6: k5_e6 k5_e6 k5_e6 k5_e6
stage7: k3_e6
"""


def test_fbnet_c_has_five_and_a_half_million_parameters() -> None:
    arch = {}
    for line in FBNET_C.split("\n")[1:-1]:
        stage, _, ops = line.partition(": ")
        arch |= {f"{stage}/block{i}": op for i, op in enumerate(ops.split(), 1)}
    with torch.device("meta"):
        net = large(FBNet(size="large")).realise(arch)
    assert parameters(net) == pytest.approx(5.5e6, rel=0.03)


MNASNET_A1 = [  # operation, kernel, squeeze-excitation, filters, layers; 120 stands for 112
    ("sepconv", 3, "0", 16, 1),
    ("mbconv6", 3, "0", 24, 2),
    ("mbconv3", 5, "0.25", 40, 3),
    ("mbconv6", 3, "0", 80, 4),
    ("mbconv6", 3, "0.25", 120, 2),
    ("mbconv6", 5, "0.25", 160, 3),
    ("mbconv6", 3, "0", 320, 1),
]


def test_mnasnet_a1_has_almost_four_million_parameters() -> None:
    arch = {}
    for number, values in enumerate(MNASNET_A1, 1):
        names = ("op", "kernel", "se", "filters", "layers")
        arch |= {f"block{number}/{name}": value for name, value in zip(names, values, strict=True)}
        if values[-1] > 1:
            arch[f"block{number}/skip"] = "identity"
    with torch.device("meta"):
        net = large(MnasNet(size="large")).realise(arch)
    assert parameters(net) == pytest.approx(3.9e6, rel=0.03)


MOBILENET_V3_LARGE = [  # kernel, inner channels, channels, squeeze-excitation, activation, stride
    (3, 16, 16, 0, "relu", 1), (3, 64, 24, 0, "relu", 2), (3, 72, 24, 0, "relu", 1),
    (5, 72, 40, 0.25, "relu", 2), (5, 120, 40, 0.25, "relu", 1), (5, 120, 40, 0.25, "relu", 1),
    (3, 240, 80, 0, "hswish", 2), (3, 200, 80, 0, "hswish", 1), (3, 184, 80, 0, "hswish", 1),
    (3, 184, 80, 0, "hswish", 1), (3, 480, 112, 0.25, "hswish", 1), (3, 672, 112, 0.25, "hswish", 1),
    (5, 672, 160, 0.25, "hswish", 2), (5, 960, 160, 0.25, "hswish", 1), (5, 960, 160, 0.25, "hswish", 1),
]  # fmt: skip


def test_blocks_make_mobilenet_v3_large() -> None:
    torchvision = pytest.importorskip("torchvision")
    with torch.device("meta"):
        published = torchvision.models.mobilenet_v3_large()
        c_in, blocks = 16, []
        for kernel, hidden, c_out, se, act, stride in MOBILENET_V3_LARGE:
            blocks.append(mbconv(c_in, c_out, kernel=kernel, hidden=hidden, se=se, act=act, stride=stride))
            c_in = c_out
    assert [parameters(b) for b in blocks] == [parameters(b) for b in published.features[1:-1]]


@pytest.mark.parametrize("factory", [FBNet, MobileNetV3, MnasNet])
def test_large_networks_take_large_images(factory) -> None:
    with torch.device("meta"):
        space = factory(size="large").space(num_classes=7, side=224)
        net = space.realise(space.sample(0)).eval()
        seen = []
        net.backbone.last.register_forward_hook(lambda _, __, out: seen.append(out.shape[-1]))
        assert net(torch.zeros(1, 3, 224, 224)).shape == (1, 7)
    assert seen == [7]


def test_blocks_of_mnasnet_share_weights_among_widths() -> None:
    space = MnasNet().space(num_classes=3, side=SIDE)
    net = space.supernet()
    arch = {**space.sample(3), "block1/op": "conv", "block1/filters": 12, "block1/se": "0"}
    wide = space.realise({**arch, "block1/filters": 20}, inherit=net)
    narrow = space.realise(arch, inherit=net)
    first, second = (next(p for n, p in m.named_parameters() if "blocks.0.0" in n) for m in (narrow, wide))
    assert torch.equal(first, second[:12])


def test_unknown_activation() -> None:
    with pytest.raises(UnknownNameError, match="unknown activation 'tanh'"):
        activation("tanh")
