"""The cells of DARTS.

Source: H. Liu, K. Simonyan, Y. Yang, "DARTS: Differentiable Architecture Search", ICLR 2019,
sections 2.1, 2.4, 3 and appendix A.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, cast

from torch import nn

from autodl.checks import check_whole
from autodl.errors import OptionError
from autodl.nas.decisions import Arch
from autodl.nas.picture import Edge, Graph, Picture
from autodl.nas.space import Space
from autodl.nas.space_factory import Probabilities, PublishedSpace, likeliest, row
from autodl.nas.spaces.darts_network import (
    KINDS,
    OPS,
    Auxiliary,
    Cell,
    CellBackbone,
    CellOptions,
    Edges,
    edge_label,
    inputs_label,
    stems_for,
)
from autodl.nas.spaces.frame import as_classifier
from autodl.spaces import Value

Genotype = dict[str, list[tuple[str, int]]]
"""Kind of cell -> (operation, state it reads) of each edge, two edges a node, nodes in order."""

_SEP, _MAX, _SKIP, _DIL = "sep_conv_3x3", "max_pool_3x3", "skip_connect", "dil_conv_3x3"
DARTS_V2: Genotype = {
    "normal": [
        (_SEP, 0), (_SEP, 1), (_SEP, 0), (_SEP, 1), (_SEP, 1), (_SKIP, 0), (_SKIP, 0), (_DIL, 2),
    ],
    "reduce": [
        (_MAX, 0), (_MAX, 1), (_SKIP, 2), (_MAX, 1), (_MAX, 0), (_SKIP, 2), (_SKIP, 2), (_MAX, 1),
    ],
}  # fmt: skip
"""The cells that second-order DARTS found on CIFAR-10: 3.3 million parameters there."""


@dataclass(frozen=True, kw_only=True)
class DARTS(PublishedSpace):
    """Normal and reduction cells of 4 nodes; each node sums two edges of 7 operations.

    With ``edges="pairs"`` the architectures are exactly the discrete cells, 1.04e9 of each kind,
    and any method can search them; gradients move edges by the probability that they are among
    the two. ``edges="all"`` is the paper's relaxation: all 14 edges at once, each with 8
    operations ("none" too), of which `derive` keeps the two strongest a node.

    Attributes:
        size: "small" (5 cells, maps from 16 px on: for CPUs), "cifar" (8 cells of width 16 on 32 px,
            as searched in the paper) or "large" (8 cells of width 16 after a stem that halves three
            times, for 224 px).
        cells: number of cells; those at a third and two thirds reduce. None: by size.
        width: channels of a node in the first cells. None: by size.
        nodes: inner nodes of a cell.
        edges: "pairs" or "all".
        affine: whether batch normalisations have a scale and a shift; while an architecture is
            searched they have none.
        drop_path: probability of dropping an edge in training.
        auxiliary: a second classifier two thirds up; the backbone's ``with_auxiliary`` gives its logits.

    Raises:
        OptionError: an unknown size or kind of edges, no cells or nodes.

    Example:
        >>> f"{DARTS(cells=3, width=2).space(num_classes=10).size():.3g}"
        '1.08e+18'
    """

    name: ClassVar[str] = "darts"
    sizes: ClassVar[tuple[str, ...]] = ("small", "cifar", "large")

    cells: int | None = None
    width: int | None = None
    nodes: int = 4
    edges: str = "pairs"
    affine: bool = False
    drop_path: float = 0.0
    auxiliary: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for label, value, least in (
            ("cells", self.cells, 3),
            ("width", self.width, 2),
            ("nodes", self.nodes, 1),
        ):
            if value is not None:
                check_whole(label, value, least)
        if self.edges not in ("pairs", "all"):
            raise OptionError(f"darts: edges is pairs or all, got {self.edges!r}")

    def network(self, num_classes: int, channels: int, side: int) -> nn.Module:
        """See `PublishedSpace.network`."""
        cells = self.cells or (5 if self.size == "small" else 8)
        width = self.width or (8 if self.size == "small" else 16)
        options = CellOptions(self.nodes, cast(Edges, self.edges), self.affine, self.drop_path)
        stems, stem_channels, stem_reduces = stems_for(self.size, channels, width, side)
        backbone = CellBackbone(
            stems,
            partial(_cell, options),
            cells=cells,
            width=width,
            nodes=self.nodes,
            stem_channels=stem_channels,
            stem_reduces=stem_reduces,
        )
        if self.auxiliary:
            backbone.auxiliary = Auxiliary(backbone.tap_channels, num_classes)
        return as_classifier(backbone, backbone.feature_dim, num_classes, channels, side)

    def for_retraining(self) -> DARTS:
        """The same cells, with affine normalisation."""
        return replace(self, affine=True)

    def published_evaluation(self) -> DARTS:
        """As the paper trains what it found: 20 cells of width 36, on 224 px 14 of width 48."""
        is_large = self.size == "large"
        return replace(
            self,
            size="large" if is_large else "cifar",
            cells=14 if is_large else 20,
            width=48 if is_large else 36,
            affine=True,
            drop_path=0.0 if is_large else 0.2,
            auxiliary=True,
        )

    def derive(self, space: Space, probabilities: Probabilities) -> Arch:
        """Of all edges, each node keeps the two whose strongest operation besides "none" is strongest."""
        if self.edges == "pairs":
            return likeliest(space, probabilities)
        arch: Arch = {}
        for kind, node in itertools.product(KINDS, range(2, 2 + self.nodes)):
            best = []
            for source in range(node):
                strengths = row(probabilities, edge_label(kind, node, source), len(OPS))[1:]
                best.append((float(strengths.max()), OPS[1 + int(strengths.argmax())]))
            kept = sorted(range(node), key=lambda source: -best[source][0])[:2]
            for source in range(node):
                arch[edge_label(kind, node, source)] = best[source][1] if source in kept else OPS[0]
        return space.validate(arch)

    def genotype(self, arch: Mapping[str, Value]) -> Genotype:
        """The edges of each kind of cell that are there."""
        found: Genotype = {}
        for kind in KINDS:
            found[kind] = []
            for node in range(2, 2 + self.nodes):
                for source in self._sources(arch, kind, node):
                    op = arch[edge_label(kind, node, source)]
                    if op != OPS[0]:
                        found[kind].append((str(op), source))
        return found

    def _sources(self, arch: Mapping[str, Value], kind: str, node: int) -> Sequence[int]:
        pair = arch.get(inputs_label(kind, node))
        return range(node) if pair is None else [int(part) for part in str(pair).split("+")]

    def arch(self, genotype: Mapping[str, Sequence[tuple[str, int]]]) -> Arch:
        """The architecture of a published genotype: two edges a node, in the order of nodes.

        Raises:
            OptionError: not two edges, from two earlier states, for each node.
        """
        arch: Arch = {}
        for kind in KINDS:
            edges = list(genotype[kind])
            for node in range(2, 2 + self.nodes):
                pair = dict((source, op) for op, source in edges[2 * (node - 2) : 2 * (node - 1)])
                if len(pair) != 2 or max(pair) >= node or len(edges) != 2 * self.nodes:
                    raise OptionError(f"{kind} node {node} reads two earlier states, got {edges}")
                if self.edges == "pairs" and node > 2:
                    arch[inputs_label(kind, node)] = "+".join(map(str, sorted(pair)))
                for source in sorted(pair) if self.edges == "pairs" else range(node):
                    arch[edge_label(kind, node, source)] = pair.get(source, OPS[0])
        return arch

    def pictures(self, arch: Arch) -> list[Picture]:
        """Both cells."""
        inner = [str(number) for number in range(self.nodes)]
        names = ["cell k-2", "cell k-1", *inner]
        pictures: list[Picture] = []
        for kind in KINDS:
            edges = [
                Edge(names[source], names[node], str(arch[edge_label(kind, node, source)]))
                for node in range(2, 2 + self.nodes)
                for source in self._sources(arch, kind, node)
            ]
            shown = [edge for edge in edges if edge.text != OPS[0]]
            outputs = [Edge(name, "cell k") for name in inner]
            pictures.append(Graph(f"{kind} cell", (*names, "cell k"), (*shown, *outputs)))
        return pictures


def _cell(
    options: CellOptions, c_before: int, c_last: int, width: int, is_reduction: bool, after_reduction: bool
) -> nn.Module:
    return Cell(
        c_before,
        c_last,
        width,
        is_reduction=is_reduction,
        after_reduction=after_reduction,
        options=options,
    )
