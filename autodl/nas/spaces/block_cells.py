"""Networks of cells whose blocks combine two operations on two earlier states (NASNet, ENAS micro)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from autodl.nas.choices import InputChoice, OpChoice
from autodl.nas.decisions import Arch, Decision
from autodl.nas.picture import Edge, Graph
from autodl.nas.spaces.frame import as_classifier, conv_bn, small_stem
from autodl.nas.spaces.loose_ends import LooseConv, LooseLinear, LoosePool
from autodl.nas.spaces.ops import ReLUConvBN

KINDS = ("normal", "reduce")
SIDES = ("left", "right")

MakeOp = Callable[[str, int, bool], nn.Module]
"""By name, width and whether normalisations are affine."""


class Sum(nn.Module):
    """``x + y``."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Of one shape."""
        return x + y


class Concat(nn.Module):
    """Both maps side by side, then a pointwise convolution back to the width of one.

    Args:
        width: channels of each.
        affine: whether the normalisation has a scale and a shift.
    """

    def __init__(self, width: int, affine: bool) -> None:
        super().__init__()
        self.project = ReLUConvBN(2 * width, width, affine=affine)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Of one shape."""
        out: Tensor = self.project(torch.cat([x, y], dim=1))
        return out


@dataclass(frozen=True, slots=True)
class CellKind:
    """What the cells of a space are.

    Attributes:
        blocks: of each cell.
        ops: names of operations.
        make_op: makes one.
        combines: ways to combine the two sides of a block, of "add" and "concat".
        affine: whether normalisations have a scale and a shift.
    """

    blocks: int
    ops: tuple[str, ...]
    make_op: MakeOp
    combines: tuple[str, ...]
    affine: bool

    @property
    def states(self) -> int:
        """Of each cell, its two inputs included."""
        return self.blocks + 2

    def inputs(self, kind: str) -> list[Decision]:
        """The input decisions of a kind of cell."""
        return [
            Decision(label(kind, block, side, "input"), tuple(range(block + 2)))
            for block in range(self.blocks)
            for side in SIDES
        ]


def label(kind: str, block: int, *parts: str) -> str:
    """Label of a decision on a block, numbered from 0."""
    return "/".join((kind, f"block{block + 1}", *parts))


class Block(nn.Module):
    """Two operations on two earlier states, combined.

    Args:
        cell: what cells are.
        kind: of the cell.
        number: of the block, from 0.
        width: channels.
    """

    def __init__(self, cell: CellKind, kind: str, number: int, width: int) -> None:
        super().__init__()
        self.inputs = nn.ModuleList(
            InputChoice(number + 2, label=label(kind, number, side, "input")) for side in SIDES
        )
        self.ops = nn.ModuleList(
            OpChoice(
                {name: cell.make_op(name, width, cell.affine) for name in cell.ops},
                label=label(kind, number, side, "op"),
            )
            for side in SIDES
        )
        ways: dict[str, nn.Module] = {
            name: Sum() if name == "add" else Concat(width, cell.affine) for name in cell.combines
        }
        several = len(ways) > 1
        self.combine = OpChoice(ways, label=label(kind, number, "combine")) if several else Sum()

    def forward(self, states: Sequence[Tensor]) -> Tensor:
        """The next state."""
        left, right = (op(choose(states)) for choose, op in zip(self.inputs, self.ops, strict=True))
        out: Tensor = self.combine(left, right)
        return out


class BlockCell(nn.Module):
    """Reads the two outputs before it; gives all its states, of which the next cells read the loose.

    Args:
        before: reads the output of the cell before the last.
        last: reads the output of the last cell.
        blocks: each makes one state.
    """

    def __init__(self, before: nn.Module, last: nn.Module, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.before, self.last, self.blocks = before, last, nn.ModuleList(blocks)

    def forward(self, before: Sequence[Tensor], last: Sequence[Tensor]) -> list[Tensor]:
        """Its states, inputs included, all (n, width, h, w)."""
        states = [self.before(before), self.last(last)]
        for block in self.blocks:
            states.append(block(states))
        return states


class BlockBackbone(nn.Module):
    """Stem, cells, mean: images (n, channels, side, side) to features.

    Args:
        stem: images to the first map.
        cells: one after another.
        pool: reads the last one.
    """

    cam_name = None

    def __init__(self, stem: nn.Module, cells: Sequence[nn.Module], pool: nn.Module) -> None:
        super().__init__()
        self.stem, self.cells, self.pool = stem, nn.ModuleList(cells), pool
        self.stage_names = ("stem", *(f"cells.{i}" for i in range(len(cells))))

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, features)."""
        before = last = [self.stem(x)]
        for cell in self.cells:
            before, last = last, cell(before, last)
        features: Tensor = self.pool(last)
        return features


@dataclass(frozen=True, slots=True)
class _Source:
    """An output that a cell reads: which states, how wide, at what scale."""

    inputs: tuple[Decision, ...]
    states: int
    width: int
    halvings: int


@dataclass(frozen=True, slots=True)
class Layout:
    """How many cells there are.

    Attributes:
        repeats: normal cells before, between and after the two reductions.
        width: channels of a state in the first of them.
        stem: channels of the stem.
        stem_reductions: reduction cells right after the stem (two, for large images).
        first_map: side that the stem brings images to, pixels; None: it halves them.
    """

    repeats: int
    width: int
    stem: int
    stem_reductions: int
    first_map: int | None

    def cells(self) -> Iterator[tuple[str, int]]:
        """Kind and width of each cell."""
        for number in range(self.stem_reductions, 0, -1):
            yield "reduce", max(1, self.width // 2**number)
        for part in range(3):
            if part:
                yield "reduce", self.width * 2**part
            for _ in range(self.repeats):
                yield "normal", self.width * 2**part


def block_network(cell: CellKind, layout: Layout, *, num_classes: int, channels: int, side: int) -> nn.Module:
    """The super-net of a space of such cells."""
    if layout.first_map is None:
        stem = nn.Sequential(*conv_bn(channels, layout.stem, 3, 2))
    else:
        stem, _ = small_stem(channels, layout.stem, side, layout.first_map)
    before = last = _Source((), 1, layout.stem, 0)
    cells = []
    for kind, width in layout.cells():
        target = last.halvings + (kind == "reduce")
        readers = [
            LooseConv(s.inputs, s.states, s.width, width, halve=target > s.halvings, affine=cell.affine)
            for s in (before, last)
        ]
        # Two halvings behind: only where two reduction cells follow each other.
        first: nn.Module = readers[0]
        if target - before.halvings > 1:
            first = _HalveAgain(readers[0])
        blocks = [Block(cell, kind, number, width) for number in range(cell.blocks)]
        cells.append(BlockCell(first, readers[1], blocks))
        before, last = last, _Source(tuple(cell.inputs(kind)), cell.states, width, target)
    pool = LoosePool(last.inputs, last.states, last.width)
    head = LooseLinear(last.inputs, last.states, last.width, num_classes)
    return as_classifier(BlockBackbone(stem, cells, pool), head, num_classes, channels, side)


class _HalveAgain(nn.Module):
    def __init__(self, reader: nn.Module) -> None:
        super().__init__()
        self.reader = reader
        self.pool = nn.AvgPool2d(2, ceil_mode=True)

    def forward(self, states: Sequence[Tensor]) -> Tensor:
        out: Tensor = self.pool(self.reader(states))
        return out


def block_pictures(blocks: int, arch: Mapping[str, object]) -> list[Graph]:
    """Both cells: each block reads two states, and the loose ones make the output."""
    pictures = []
    for kind in KINDS:
        names = ["cell k-2", "cell k-1", *(str(number + 1) for number in range(blocks))]
        edges, read = [], set()
        for block in range(blocks):
            for side in SIDES:
                source = int(str(arch[label(kind, block, side, "input")]))
                read.add(source)
                text = str(arch[label(kind, block, side, "op")])
                edges.append(Edge(names[source], names[block + 2], text))
        loose = [name for number, name in enumerate(names) if number not in read]
        edges += [Edge(name, "cell k") for name in loose]
        pictures.append(Graph(f"{kind} cell", (*names, "cell k"), tuple(edges)))
    return pictures


BlockGenotype = Mapping[str, Sequence[tuple[str, int]]]
"""Kind of cell -> (operation, state it reads), left and right of each block; blocks add."""


def arch_of_blocks(genotype: BlockGenotype, combines: bool) -> Arch:
    """The architecture of a published genotype.

    Args:
        genotype: both kinds of cell.
        combines: whether the space asks how blocks combine; they add.
    """
    arch: Arch = {}
    for kind in KINDS:
        for number, (op, source) in enumerate(genotype[kind]):
            block, side = divmod(number, 2)
            arch[label(kind, block, SIDES[side], "input")] = source
            arch[label(kind, block, SIDES[side], "op")] = op
            if combines:
                arch[label(kind, block, "combine")] = "add"
    return arch
