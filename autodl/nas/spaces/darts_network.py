"""The network around DARTS cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from autodl.nas.choices import OpChoice
from autodl.nas.spaces.darts_node import PairNode, SumOfEdges
from autodl.nas.spaces.frame import conv_bn, small_stem
from autodl.nas.spaces.ops import DilConv, DropPath, FactorizedReduce, Pool, ReLUConvBN, SepConv, Zero

OPS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
KINDS = ("normal", "reduce")
Edges = Literal["pairs", "all"]


@dataclass(frozen=True, slots=True)
class CellOptions:
    """What all cells share.

    Attributes:
        nodes: inner nodes.
        edges: "pairs" or "all".
        affine: whether normalisations have a scale and a shift; pools have no normalisation then.
        drop_path: probability of dropping an edge in training.
    """

    nodes: int
    edges: Edges
    affine: bool
    drop_path: float


def make_op(name: str, width: int, stride: int, options: CellOptions) -> nn.Module:
    """One of `OPS` on maps (n, width, h, w)."""
    op = _make(name, width, stride, options.affine)
    if options.drop_path > 0 and not isinstance(op, nn.Identity | Zero):
        return nn.Sequential(op, DropPath(options.drop_path))
    return op


def _make(name: str, width: int, stride: int, affine: bool) -> nn.Module:
    kind, _, kernel = name.rpartition("_")
    if name == "none":
        return Zero(stride)
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else FactorizedReduce(width, width, affine)
    if kind in ("max_pool", "avg_pool"):
        return Pool(kind[:3], width, int(kernel[0]), stride, norm=not affine)
    conv = SepConv if kind == "sep_conv" else DilConv
    return conv(width, width, int(kernel[0]), stride, affine)


class Cell(nn.Module):
    """Two inputs, nodes that sum edges from earlier states, and their concatenation.

    Args:
        c_before: channels of the output of the cell before the last.
        c_last: channels of the output of the last cell.
        width: channels of each node.
        is_reduction: whether it halves the map.
        after_reduction: whether the last cell did, so that the two inputs differ in size.
        options: what all cells share.
    """

    def __init__(  # one cell has this many sizes
        self,
        c_before: int,
        c_last: int,
        width: int,
        *,
        is_reduction: bool,
        after_reduction: bool,
        options: CellOptions,
    ) -> None:
        super().__init__()
        affine = options.affine
        self.before = (
            FactorizedReduce(c_before, width, affine)
            if after_reduction
            else ReLUConvBN(c_before, width, affine=affine)
        )
        self.last = ReLUConvBN(c_last, width, affine=affine)
        kind = KINDS[is_reduction]
        self.nodes = nn.ModuleList(
            _node(kind, number, width, is_reduction, options) for number in range(2, 2 + options.nodes)
        )

    def forward(self, before: Tensor, last: Tensor) -> Tensor:
        """Two maps -> (n, nodes * width, h, w), h and w halved in a reduction cell."""
        states = [self.before(before), self.last(last)]
        for node in self.nodes:
            states.append(node(states))
        return torch.cat(states[2:], dim=1)


def _node(kind: str, number: int, width: int, is_reduction: bool, options: CellOptions) -> nn.Module:
    ops = OPS if options.edges == "all" else OPS[1:]
    edges = []
    for source in range(number):
        stride = 2 if is_reduction and source < 2 else 1
        candidates = {name: make_op(name, width, stride, options) for name in ops}
        edges.append(OpChoice(candidates, label=edge_label(kind, number, source)))
    if options.edges == "all":
        return SumOfEdges(range(number), edges)
    return PairNode(edges, label=inputs_label(kind, number))


def edge_label(kind: str, node: int, source: int) -> str:
    """Label of the operation from one state to a node; states 0 and 1 are the cell's inputs."""
    return f"{kind}/{node}/from_{source}"


def inputs_label(kind: str, node: int) -> str:
    """Label of the two states that a node reads."""
    return f"{kind}/{node}/inputs"


class Auxiliary(nn.Module):
    """A second classifier on the map two thirds up; its loss helps deep networks to train.

    Args:
        channels: of the map.
        num_classes: logits.
    """

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReLU(), nn.Conv2d(channels, 128, 1, bias=False), nn.BatchNorm2d(128), nn.ReLU()
        )
        self.wide = nn.Sequential(nn.Conv2d(128, 768, 2, bias=False), nn.BatchNorm2d(768), nn.ReLU())
        self.head = nn.Linear(768, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> logits (n, num_classes)."""
        # Windows of 5 px with stride 3 make 2 x 2 of an 8 x 8 map, as published; this fits any map.
        x = self.wide(F.adaptive_avg_pool2d(self.body(x), 2))
        logits: Tensor = self.head(x.flatten(1))
        return logits


class CellBackbone(nn.Module):
    """Stem, cells, mean: images (n, channels, side, side) to features (n, feature_dim).

    Args:
        stems: one, or two of which the second reads the first.
        make_cell: cell by (c_before, c_last, width, is_reduction, after_reduction).
        cells: number of cells; those at a third and two thirds reduce.
        width: channels of a node in the first cells; doubled at each reduction.
        nodes: inner nodes, concatenated.
        stem_channels: of each stem's output.
        stem_reduces: whether the second stem halves the map of the first.
    """

    def __init__(  # stems differ by size
        self,
        stems: Sequence[nn.Module],
        make_cell: Callable[[int, int, int, bool, bool], nn.Module],
        *,
        cells: int,
        width: int,
        nodes: int,
        stem_channels: int,
        stem_reduces: bool,
    ) -> None:
        super().__init__()
        self.stems = nn.ModuleList(stems)
        self.auxiliary: Auxiliary | None = None
        self.tap = 2 * cells // 3
        channels = [stem_channels, stem_channels]
        built, after_reduction = [], stem_reduces
        self.tap_channels = stem_channels
        for number in range(cells):
            is_reduction = number in reductions(cells)
            width *= 2 if is_reduction else 1
            built.append(make_cell(channels[-2], channels[-1], width, is_reduction, after_reduction))
            channels.append(nodes * width)
            after_reduction = is_reduction
            if number == self.tap:
                self.tap_channels = channels[-1]
        self.cells = nn.ModuleList(built)
        self.feature_dim = channels[-1]
        stem_names = (f"stems.{i}" for i in range(len(stems)))
        self.stage_names = (*stem_names, *(f"cells.{i}" for i in range(cells)))

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, feature_dim)."""
        return self._run(x)[0].mean((2, 3))

    def with_auxiliary(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features (n, feature_dim), and the second classifier's logits (n, num_classes)."""
        assert self.auxiliary is not None, "built without an auxiliary head"
        last, tapped = self._run(x)
        return last.mean((2, 3)), self.auxiliary(tapped)

    def _run(self, x: Tensor) -> tuple[Tensor, Tensor]:
        before = last = self.stems[0](x)
        for stem in self.stems[1:]:
            last = stem(last)
        tapped = last
        for number, cell in enumerate(self.cells):
            before, last = last, cell(before, last)
            if number == self.tap:
                tapped = last
        return last, tapped


def reductions(cells: int) -> tuple[int, int]:
    """Positions of the reduction cells."""
    return cells // 3, 2 * cells // 3


def stems_for(size: str, channels: int, width: int, side: int) -> tuple[list[nn.Module], int, bool]:
    """Stems, channels of their output, and whether the second halves the map of the first."""
    if size == "large":  # three halvings: 224 px to 28
        first = nn.Sequential(
            *conv_bn(channels, width // 2, 3, 2), nn.ReLU(), *conv_bn(width // 2, width, 3, 2)
        )
        return [first, nn.Sequential(nn.ReLU(), *conv_bn(width, width, 3, 2))], width, True
    first_map = 16 if size == "small" else 32
    stem, _ = small_stem(channels, 3 * width, side, first_map)
    return [stem], 3 * width, False
