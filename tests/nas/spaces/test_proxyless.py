from __future__ import annotations

import functools

import pytest
import torch

from autodl.errors import OptionError
from autodl.nas import OneHot, active
from autodl.nas.spaces import ProxylessNAS
from autodl.testing.nas import SpaceContract

MOBILE = {
    1: ["k5e3", "k3e3", "skip", "skip"],
    2: ["k7e3", "k3e3", "k5e3", "k5e3"],
    3: ["k7e6", "k5e3", "k5e3", "k5e3"],
    4: ["k5e6", "k5e3", "k5e3", "k5e3"],
    5: ["k7e6", "k7e6", "k7e3", "k7e3"],
    6: ["k7e6"],
}
"""The network that the authors found for a phone: 4.1 million parameters."""


@functools.cache
def small_space(factory):
    return factory.space(num_classes=3, side=8)


class TestProxyless(SpaceContract):
    num_archs = 2

    def make(self):
        return small_space(ProxylessNAS(kernels=(3, 5), expansions=(1, 2)))

    def inputs(self):
        return (torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)),)


def test_published_size_and_network() -> None:
    with torch.device("meta"):
        space = ProxylessNAS(size="large").space(num_classes=1000, side=224)
    assert space.size() == 6**6 * 7**15
    arch = {f"stage{s}/block{i}": op for s, ops in MOBILE.items() for i, op in enumerate(ops, 1)}
    with torch.device("meta"):
        net = space.realise(arch)
    assert sum(p.numel() for p in net.parameters()) == pytest.approx(4.1e6, rel=0.02)


@pytest.mark.parametrize(("size", "side", "last"), [("small", 32, 4), ("small", 8, 4), ("large", 224, 7)])
def test_maps(size, side, last) -> None:
    net = ProxylessNAS(size=size, kernels=(3,), expansions=(1,)).space(num_classes=4, side=side).supernet()
    arch = {d.label: d.choices[0] for m in net.modules() if hasattr(m, "decisions") for d in m.decisions()}
    seen = []
    net.backbone.last.register_forward_hook(lambda _, __, out: seen.append(out.shape[-1]))
    with torch.no_grad(), active(net.eval(), OneHot(arch)):
        assert net(torch.zeros(1, 3, side, side)).shape == (1, 4)
    assert seen == [last]


@pytest.mark.parametrize("options", [{"kernels": (2,)}, {"expansions": ()}, {"size": "cifar"}])
def test_wrong_options(options) -> None:
    with pytest.raises(OptionError):
        ProxylessNAS(**options)
