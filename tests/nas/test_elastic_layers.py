"""Layers with open sizes: smaller ones are cut out of larger ones, mixtures are masks."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from autodl.errors import PlanError, SpaceError
from autodl.nas import (
    Elastic,
    ElasticBatchNorm2d,
    ElasticConv2d,
    ElasticLinear,
    Gated,
    Mask,
    OneHot,
    Soft,
    active,
)

X = torch.randn(2, 3, 7, 7, generator=torch.Generator().manual_seed(0))


def test_smaller_convolution_is_first_channels_and_centre():
    conv = ElasticConv2d(3, Elastic([4, 8], label="w"), Elastic([3, 7], label="k"))
    with active(conv, OneHot({"w": 4, "k": 3})):
        found = conv(X)
    assert torch.allclose(
        found, F.conv2d(X, conv.weight[:4, :, 2:5, 2:5], conv.bias[:4], padding=1), atol=1e-6
    )


def test_reading_mixed_channels_is_reading_masked_ones():
    """sum_i g_i conv(x M_i) = conv(x sum_i g_i M_i), without a bias (FBNetV2, equation 3)."""
    width = Elastic([2, 6, 4], label="w")
    conv = ElasticConv2d(width, 5, 3, bias=False)
    x = torch.randn(2, 6, 5, 5, generator=torch.Generator().manual_seed(1))
    gates = torch.tensor([0.2, 0.5, 0.3], requires_grad=True)
    with active(conv, Mask({"w": gates})):
        found = conv(x)
    expected = torch.zeros_like(found)
    for gate, size in zip(gates.tolist(), width.sizes, strict=True):
        expected = expected + gate * F.conv2d(x[:, :size], conv.weight[:, :size], padding=1)
    assert torch.allclose(found, expected, atol=1e-6)
    found.sum().backward()
    parts = [F.conv2d(x[:, :size], conv.weight[:, :size], padding=1).sum() for size in width.sizes]
    assert torch.allclose(gates.grad, torch.stack(parts).detach(), rtol=1e-4, atol=1e-4)


def test_mixed_kernels_are_mixed_outputs():
    conv = ElasticConv2d(3, 4, Elastic([3, 5, 7], label="k"), bias=False)
    gates = torch.tensor([0.2, 0.5, 0.3])
    with active(conv, Soft({"k": gates})):
        found = conv(X)
    expected = torch.zeros_like(found)
    for gate, kernel in zip(gates.tolist(), [3, 5, 7], strict=True):
        with active(conv, OneHot({"k": kernel})):
            expected = expected + gate * conv(X)
    assert torch.allclose(found, expected, atol=1e-5)


def test_linear_after_flattening_keeps_whole_channels():
    width = Elastic([2, 4], label="w")
    linear = ElasticLinear(width * 9, 3)
    maps = torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    with active(linear, OneHot({"w": 2})):
        found = linear(maps[:, :2].flatten(1))
    assert torch.allclose(found, F.linear(maps[:, :2].flatten(1), linear.weight[:, :18], linear.bias))


@pytest.mark.parametrize("momentum", [0.1, None])
def test_batch_norm_moves_the_statistics_of_its_channels(momentum):
    norm = ElasticBatchNorm2d(Elastic([2, 4], label="w"), momentum=momentum)
    plain = nn.BatchNorm2d(2, momentum=momentum)
    x = torch.randn(8, 2, 3, 3, generator=torch.Generator().manual_seed(0)) + 3
    for _ in range(2):
        with active(norm, OneHot({"w": 2})):
            assert torch.allclose(norm(x), plain(x))
    assert torch.allclose(norm.norm.running_mean[:2], plain.running_mean)
    assert norm.norm.running_mean[2:].tolist() == [0, 0]


def test_layers_whose_sizes_do_not_meet_are_named():
    conv = ElasticConv2d(Elastic([2, 4], label="w"), 3, 1)
    with active(conv, OneHot({"w": 2})), pytest.raises(PlanError, match=r"reads 2 channels \(w\), got 3"):
        conv(X)
    norm = ElasticBatchNorm2d(4)
    with pytest.raises(PlanError, match="works on 4 channels, got 3"):
        norm(X)


def test_gates_cannot_choose_sizes():
    conv = ElasticConv2d(3, Elastic([2, 4], label="w"), 1)
    with active(conv, Gated({"w": (torch.ones(2), 0, ())})), pytest.raises(PlanError, match="gates cannot"):
        conv(X)


def test_wrong_declarations():
    with pytest.raises(SpaceError, match=r"odd, got \[3, 4\]"):
        ElasticConv2d(3, 4, Elastic([3, 4], label="k"))
    with pytest.raises(SpaceError, match="groups=2 needs fixed channels"):
        ElasticConv2d(4, Elastic([2, 4], label="w"), groups=2)
    with pytest.raises(SpaceError, match="makes the channels it reads"):
        ElasticConv2d(4, 8, groups="depthwise")
    with pytest.raises(SpaceError, match="different whole numbers"):
        Elastic([2, 2], label="w")


def test_condition_of_a_size():
    conv = ElasticConv2d(3, 4, Elastic([3, 5], label="k", when={"op": "big"}), bias=False)
    assert conv.decisions()[0].when == ((("op", ("big",)),),)
