from __future__ import annotations

import functools
import math

import pytest
import torch

from autodl.errors import OptionError
from autodl.nas import OneHot, Soft, active
from autodl.nas.realise import realise_in_place, with_all_labels
from autodl.nas.spaces import DARTS
from autodl.nas.spaces.darts import DARTS_V2
from autodl.nas.spaces.darts_network import OPS, edge_label
from autodl.testing.nas import SpaceContract


def images(side: int = 8, count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(0))


def parameters(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@functools.cache
def small_space(factory):
    return factory.space(num_classes=3, side=8)


class TestDARTS(SpaceContract):
    num_archs = 2

    def make(self):
        return small_space(DARTS(cells=3, width=2))

    def inputs(self):
        return (images(),)


class TestAllEdges(TestDARTS):
    num_archs = 1

    def make(self):
        return small_space(DARTS(cells=3, width=2, nodes=2, edges="all"))


def test_number_of_cells_is_the_papers() -> None:
    space = DARTS(cells=3, width=2).space(num_classes=10)
    each = math.prod(math.comb(n, 2) * 7**2 for n in (2, 3, 4, 5))
    assert each == 1_037_664_180
    assert space.size() == each**2
    assert DARTS(cells=3, width=2, edges="all").space(num_classes=10).size() == 8**28


@pytest.mark.parametrize(
    ("size", "side", "classes", "published"),
    [("small", 32, 10, 3_349_342), pytest.param("large", 224, 1000, 4_718_752, marks=pytest.mark.slow)],
)
def test_the_papers_cells_have_the_papers_parameters(size, side, classes, published) -> None:
    factory = DARTS(size=size).published_evaluation()
    decisions = DARTS(cells=3, width=2).space(num_classes=2).decisions()
    arch = with_all_labels(factory.arch(DARTS_V2), decisions)
    with torch.device("meta"):
        net = realise_in_place(factory.network(classes, 3, side), arch, fresh=True)
    assert parameters(net) - parameters(net.backbone.auxiliary) == published


def test_genotypes_go_there_and_back() -> None:
    for factory in (DARTS(), DARTS(edges="all")):
        arch = factory.arch(DARTS_V2)
        space = factory.space(num_classes=2, side=8)
        assert space.validate(arch) == arch
        found = factory.genotype(arch)
        for kind, edges in DARTS_V2.items():
            for node in range(4):
                at = slice(2 * node, 2 * node + 2)
                assert sorted(found[kind][at]) == sorted(edges[at])


def test_wrong_genotypes_are_refused() -> None:
    edges = [(OPS[1], 0), (OPS[1], 0), *DARTS_V2["normal"][2:]]
    with pytest.raises(OptionError, match="normal node 2 reads two earlier states"):
        DARTS().arch({**DARTS_V2, "normal": edges})


def test_two_strongest_edges_are_kept_and_none_is_never_an_operation() -> None:
    factory = DARTS(cells=3, width=2, edges="all")
    space = factory.space(num_classes=2, side=8)
    probabilities = {}
    for label, decision in space.decisions().items():
        row = torch.full((len(decision.choices),), 0.01)
        row[0] = 0.5  # "none" is strongest everywhere
        probabilities[label] = row
    for kind in ("normal", "reduce"):
        for node, kept in ((2, (0, 1)), (3, (0, 2)), (4, (1, 3)), (5, (2, 4))):
            for source in kept:
                probabilities[edge_label(kind, node, source)][4] = 0.2 + 0.01 * source
    arch = space.derive(probabilities)
    for kind in ("normal", "reduce"):
        assert factory.genotype(arch)[kind] == [
            (OPS[4], source) for kept in ((0, 1), (0, 2), (1, 3), (2, 4)) for source in kept
        ]


def test_pairs_derive_the_likeliest() -> None:
    space = DARTS(cells=3, width=2).space(num_classes=2, side=8)
    arch = space.sample(5)
    probabilities = {
        label: torch.nn.functional.one_hot(
            torch.tensor(decision.index(arch.get(label)) or 0), len(decision.choices)
        ).float()
        for label, decision in space.decisions().items()
    }
    assert space.derive(probabilities) == arch


def test_mixed_node_is_the_expectation_over_pairs_and_operations() -> None:
    torch.manual_seed(0)
    space = DARTS(cells=3, width=2, nodes=2).space(num_classes=2, side=8)
    node = space.supernet(0).backbone.cells[0].nodes[1].double()
    states = [torch.randn(2, 2, 4, 4, dtype=torch.float64) for _ in range(3)]
    pairs = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    ops = torch.softmax(torch.randn(3, 7, dtype=torch.float64), 1)
    labels = [edge_label("normal", 3, source) for source in range(3)]
    weights = {"normal/3/inputs": pairs, **dict(zip(labels, ops, strict=True))}
    with torch.no_grad(), active(node, Soft(weights)):
        mixed = node(states)
    expected = torch.zeros_like(mixed)
    for weight, (i, j) in zip(pairs, ((0, 1), (0, 2), (1, 2)), strict=True):
        for source in (i, j):
            for chance, op in zip(ops[source], node.edges[source].candidates, strict=True):
                expected += weight * chance * op(states[source]).detach()
    torch.testing.assert_close(mixed, expected)


def test_cells_of_one_kind_are_tied_and_reductions_stand_at_thirds() -> None:
    net = DARTS(size="cifar").space(num_classes=10).supernet()
    arch = DARTS().space(num_classes=10).sample(0)
    sides = []
    for cell in net.backbone.cells:
        cell.register_forward_hook(lambda _, __, out: sides.append(out.shape[-1]))
    with torch.no_grad(), active(net, OneHot(arch)):
        assert net(images(32, 2)).shape == (2, 10)
    assert sides == [32, 32, 16, 16, 16, 8, 8, 8]


def test_large_network_takes_large_images() -> None:
    space = DARTS(size="large", cells=3, width=4, affine=True).space(num_classes=5, side=224)
    net = space.realise(space.sample(0)).eval()
    with torch.no_grad():
        assert net(images(224, 1)).shape == (1, 5)


def test_drop_path_and_auxiliary_head() -> None:
    factory = DARTS(cells=3, width=2, affine=True, drop_path=0.5, auxiliary=True)
    space = factory.space(num_classes=3, side=16)
    net = space.realise(space.sample(1))
    torch.manual_seed(0)
    x = images(16)
    features, logits = net.backbone.with_auxiliary(x)
    assert features.shape == (2, net.feature_dim)
    assert logits.shape == (2, 3)
    assert not torch.equal(net(x), net(x))
    net.eval()
    assert torch.equal(net(x), net(x))


@pytest.mark.parametrize("options", [{"size": "huge"}, {"edges": "some"}, {"cells": 2}, {"nodes": 0}])
def test_wrong_options(options) -> None:
    with pytest.raises(OptionError):
        DARTS(**options)
