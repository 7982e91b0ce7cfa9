"""NASNet's and ENAS' cells."""

from __future__ import annotations

import functools
import math

import pytest
import torch

from autodl.errors import OptionError, UnknownNameError
from autodl.nas import OneHot, active
from autodl.nas.realise import realise_in_place
from autodl.nas.spaces import ENASMicro, NASNet
from autodl.nas.spaces.loose_ends import LooseReader
from autodl.nas.spaces.nasnet import NASNET_A, OPS, make_op
from autodl.testing.nas import SpaceContract


@functools.cache
def small_space(factory):
    return factory.space(num_classes=3, side=8)


class Blocks(SpaceContract):
    num_archs = 2

    def inputs(self):
        return (torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)),)


class TestNASNet(Blocks):
    num_archs = 1

    def make(self):
        return small_space(NASNet(blocks=2, width=2))


class TestENASMicro(Blocks):
    def make(self):
        return small_space(ENASMicro(nodes=4, width=2))


def large(factory, classes=1000, side=224):
    with torch.device("meta"):
        return factory.space(num_classes=classes, side=side)


def test_sizes() -> None:
    cell = math.prod((b + 2) ** 2 * 13**2 * 2 for b in range(5))
    assert large(NASNet()).size() == cell**2
    # The paper's formula counts (5 * 5!)^4 = 1.3e11; descriptions that differ are more.
    assert (5 * math.factorial(5)) ** 4 == 129_600_000_000
    assert large(ENASMicro()).size() == (math.factorial(6) ** 2 * 5**10) ** 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("factory", "classes", "side", "published"),
    [
        (NASNet(size="cifar", repeats=6, affine=True), 10, 32, 3.3e6),
        (NASNet(size="large", repeats=4, affine=True), 1000, 224, 5.29e6),
    ],
)
def test_nasnet_a_has_the_published_parameters(factory, classes, side, published, monkeypatch) -> None:
    kept = LooseReader.kept

    def with_one_input(self, arch):  # the released network concatenates one input of normal cells, too
        is_normal = self.inputs and self.inputs[0].label.startswith("normal")
        return [0, *kept(self, arch)] if is_normal else kept(self, arch)

    monkeypatch.setattr(LooseReader, "kept", with_one_input)
    with torch.device("meta"):
        supernet = factory.network(classes, 3, side)
        net = realise_in_place(supernet, factory.arch(NASNET_A), fresh=True)
    assert sum(p.numel() for p in net.parameters()) == pytest.approx(published, rel=0.02)


@pytest.mark.parametrize("factory", [NASNet(), ENASMicro()])
def test_no_state_dangles(factory) -> None:
    space = large(factory, 10, 32)
    for seed in range(20):
        arch = space.sample(seed)
        for graph in space.pictures(arch):
            reached = {edge.source for edge in graph.edges}
            assert reached == set(graph.nodes[:-1])  # each is read, or is part of the output
            assert all(sum(e.target == node for e in graph.edges) == 2 for node in graph.nodes[2:-1])


@pytest.mark.parametrize("factory", [NASNet, ENASMicro])
def test_networks_take_small_and_large_images(factory) -> None:
    arch = large(factory()).sample(1)
    for size, side in (("small", 32), ("large", 224)):
        with torch.device("meta"):
            net = realise_in_place(factory(size=size, repeats=1).network(4, 3, side), arch, fresh=True)
            assert net(torch.zeros(2, 3, side, side)).shape == (2, 4)
            assert net.splits
            assert net.feature_dim == net.head.in_features


def test_expected_output_is_weighted_by_the_chance_to_be_loose() -> None:
    space = ENASMicro(nodes=3, width=2).space(num_classes=3, side=8)
    reader = space.supernet().backbone.pool
    states = list(torch.rand(3, 1, 2, 2, 2, generator=torch.Generator().manual_seed(0)))
    left, right = torch.tensor([0.3, 0.7]), torch.tensor([0.4, 0.6])
    from autodl.nas import Soft

    weights = {d.label: w for d, w in zip(reader.inputs, (left, right), strict=True)}
    with active(reader, Soft(weights)):
        mixed = reader(states)
    expected = torch.zeros(1, 6)
    for i, p in enumerate(left):
        for j, q in enumerate(right):
            with active(reader, OneHot({d.label: v for d, v in zip(reader.inputs, (i, j), strict=True)})):
                found, places = reader.picked(states)
            for tensor, place in zip(found, places, strict=True):
                expected[:, 2 * place : 2 * place + 2] += p * q * tensor.mean((2, 3))
    torch.testing.assert_close(mixed, expected)


@pytest.mark.parametrize("name", OPS)
def test_operations_keep_the_shape(name) -> None:
    x = torch.randn(2, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    assert make_op(name, 4, True)(x).shape == x.shape


def test_wrong_names_and_options() -> None:
    with pytest.raises(UnknownNameError):
        make_op("conv_9x9", 4, True)
    for wrong in (lambda: NASNet(width=1), lambda: ENASMicro(nodes=2), lambda: NASNet(blocks=0)):
        with pytest.raises(OptionError):
            wrong()
