from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from autodl.errors import ConfigError
from autodl.nas import OpChoice, Space
from autodl.nas.draw import draw, pictures_of
from autodl.nas.draw_cell import columns_of, place
from autodl.nas.picture import Chain, Edge, Graph
from autodl.nas.spaces import DARTS, SPACES
from autodl.nas.spaces.darts import DARTS_V2
from autodl.report.svg import themed_svg


def words(figure) -> list[str]:
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def space_of(factory):
    with torch.device("meta"):
        return factory.space(num_classes=10, side=32)


@pytest.mark.parametrize("name", SPACES)
def test_every_published_space_shows_all_its_choices(name) -> None:
    space = space_of(SPACES[name]())
    arch = space.sample(0)
    pictures = pictures_of(space, arch)
    assert pictures
    found = words(draw(space, arch))
    for picture in pictures:
        assert picture.title in found
        if isinstance(picture, Graph):
            assert set(picture.nodes) <= set(found)
            assert {edge.text for edge in picture.edges} - {""} <= set(found)
        else:
            assert {step.name for step in picture.steps} <= set(found)
            assert {step.text for step in picture.steps} <= set(found)


def test_cells_of_darts_show_their_operations_once_for_each_edge() -> None:
    factory = DARTS(cells=3, width=2)
    figure = draw(space_of(factory), factory.arch(DARTS_V2))
    found = words(figure)
    for op in {op for edges in DARTS_V2.values() for op, _ in edges}:
        assert found.count(op) == sum(op == o for edges in DARTS_V2.values() for o, _ in edges)
    svg = themed_svg(figure)
    assert "sep_conv_3x3" in svg
    assert "var(--good)" in svg


def test_boxes_of_a_cell_do_not_overlap_and_arrows_go_right() -> None:
    space = space_of(SPACES["nasnet"]())
    for seed in range(5):
        for graph in space.pictures(space.sample(seed)):
            boxes = place(graph)
            for edge in graph.edges:
                assert boxes[edge.source].left < boxes[edge.target].left
            for column in columns_of(graph):
                for upper, lower in itertools.pairwise(column):
                    a, b = boxes[upper], boxes[lower]
                    assert a.middle + a.height / 2 < b.middle - b.height / 2


def test_any_space_is_drawn_as_its_decisions() -> None:
    net = nn.Sequential(
        OpChoice({"conv$3": nn.Identity(), "pool": nn.Identity()}, label="layer1/op"),
        OpChoice({"a": nn.Identity(), "b": nn.Identity()}, label="layer2/op"),
    )
    space = Space(net)
    found = words(draw(space, {"layer1/op": "conv$3", "layer2/op": "b"}))
    assert {"decisions", "layer1/op", r"conv\$3", "layer2/op", "b"} <= set(found)
    with pytest.raises(ConfigError):
        draw(space, {"layer1/op": "pool"})


def test_a_space_of_ones_own_says_what_is_shown() -> None:
    class Mine(Space):
        def pictures(self, arch):
            return [Graph("mine", ("in", "out"), (Edge("in", "out", arch["op"]),))]

    space = Mine(OpChoice({"a": nn.Identity(), "b": nn.Identity()}, label="op"))
    assert {"mine", "in", "out", "b"} <= set(words(draw(space, {"op": "b"})))


def test_skips_are_arcs_and_an_input_is_shown_where_one_starts() -> None:
    space = space_of(SPACES["chain"](skips=True))
    arch = {label: d.choices[0] for label, d in space.decisions().items()}
    plain = draw(space, arch)
    skipping = draw(space, {**arch, "layer2/skip/0": True, "layer3/skip/1": True})
    (chain,) = pictures_of(space, {**arch, "layer2/skip/0": True, "layer3/skip/1": True})
    assert isinstance(chain, Chain)
    assert chain.skips == ((-1, 1), (0, 2))
    assert "input" in words(skipping)
    assert "input" not in words(plain)
    # A row has two patches, a stripe and a frame; an arc has one.
    assert len(skipping.axes[0].patches) == len(plain.axes[0].patches) + 2 + 2
