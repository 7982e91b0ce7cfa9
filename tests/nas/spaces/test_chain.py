from __future__ import annotations

import functools

import pytest
import torch

from autodl.errors import OptionError
from autodl.nas import Gated, OneHot, active
from autodl.nas.spaces import ConvChain
from autodl.nas.spaces.chain import SkipConv
from autodl.testing.nas import SpaceContract


@functools.cache
def small_space(factory):
    return factory.space(num_classes=3, side=8)


class TestConvChain(SpaceContract):
    num_archs = 3

    def make(self):
        return small_space(ConvChain(layers=3, kernels=(1, 3), filters=(2, 4), skips=True))

    def inputs(self):
        return (torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)),)


class TestStrides(TestConvChain):
    mixes = False  # maps of different sizes

    def make(self):
        factory = ConvChain(layers=3, kernels=(1, 3), filters=(2, 4), strides=(1, 2, 3), skips=True)
        return small_space(factory)


def test_size_is_the_papers() -> None:
    with torch.device("meta"):
        space = ConvChain(size="large").space(num_classes=10)
        assert space.size() == (4 * 4 * 4) ** 6
        space = ConvChain(size="large", strides=(1, 2, 3), skips=True).space(num_classes=10)
        assert space.size() == (4 * 4 * 4 * 3) ** 6 * 2 ** (1 + 2 + 3 + 4 + 5)


def test_sum_of_convolutions_is_the_convolution_of_a_concatenation() -> None:
    space = ConvChain(layers=2, kernels=(3,), filters=(4,), skips=True).space(num_classes=3, side=8)
    arch = {**space.sample(0), "layer2/skip/0": True}
    conv = space.realise(arch).backbone.convs[1]
    states = list(torch.randn(2, 1, 4, 5, 5, generator=torch.Generator().manual_seed(0)))
    weight = torch.cat([each.weight for each in conv.convs], dim=1)
    whole = torch.nn.functional.conv2d(torch.cat(states, dim=1), weight, padding=1)
    torch.testing.assert_close(conv(states), whole)


def test_rectangles_are_the_middle_of_the_largest() -> None:
    space = ConvChain(layers=1, kernels=(1, 3, 5), filters=(2,)).space(num_classes=3, side=8)
    net = space.supernet()
    found = space.realise({**space.sample(0), "layer1/height": 1, "layer1/width": 3}, inherit=net)
    weight = found.backbone.convs[0].convs[0].weight
    assert weight.shape[2:] == (1, 3)
    assert torch.equal(weight, net.backbone.convs[0].convs[0].weight[:, :, 2:3, 1:4])


def test_large_images() -> None:
    with torch.device("meta"):
        space = ConvChain(size="large").space(num_classes=5, side=224)
        net = space.realise(space.sample(0))
        assert net(torch.zeros(2, 3, 224, 224)).shape == (2, 5)
        assert net.splits


@pytest.mark.parametrize("options", [{"kernels": (2,)}, {"filters": ()}, {"layers": 0}, {"strides": (0,)}])
def test_wrong_options(options) -> None:
    with pytest.raises(OptionError):
        ConvChain(**options)


def test_gates_of_skips_get_the_product_of_gradient_and_output() -> None:
    convs = [torch.nn.Conv2d(2, 3, 1, bias=False) for _ in range(2)]
    node = SkipConv(convs, label="skip")
    states = list(torch.randn(2, 1, 2, 4, 4, generator=torch.Generator().manual_seed(0)))
    grad = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    for chosen in (0, 1):
        probs = torch.tensor([0.5, 0.5], requires_grad=True)
        with active(node, Gated({"skip/0": (probs, chosen, (1 - chosen,))})):
            out = node(states)
        with active(node, OneHot({"skip/0": bool(chosen)})):
            torch.testing.assert_close(out, node(states))
        (out * grad).sum().backward()
        torch.testing.assert_close(
            probs.grad, torch.stack([torch.zeros(()), (grad * convs[0](states[0])).sum()])
        )
