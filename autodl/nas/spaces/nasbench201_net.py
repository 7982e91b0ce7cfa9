"""The networks that NAS-Bench-201 trained.

Source: X. Dong, Y. Yang, "NAS-Bench-201", ICLR 2020, section 2.1 and figure 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from autodl.checks import check_whole
from autodl.nas.choices import OpChoice
from autodl.nas.decisions import Arch
from autodl.nas.nasbench201_cell import EDGES, LABELS, OPS, as_config, to_string
from autodl.nas.picture import Edge, Graph, Picture
from autodl.nas.space_factory import PublishedSpace
from autodl.nas.spaces.frame import as_classifier, small_stem
from autodl.nas.spaces.ops import Pool, ReLUConvBN, Zero
from autodl.spaces import Value


def make_op(name: str, width: int) -> nn.Module:
    """One of the benchmark's operations, on maps (n, width, h, w)."""
    if name == "none":
        return Zero()
    if name == "skip_connect":
        return nn.Identity()
    if name == "avg_pool_3x3":
        return Pool("avg", width)
    return ReLUConvBN(width, width, int(name[-1]))


class Cell(nn.Module):
    """Four nodes; each but the first is the sum of an edge from every earlier one.

    Args:
        width: channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(
            OpChoice({op: make_op(op, width) for op in OPS}, label=label) for label in LABELS
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w), the same shape out."""
        nodes: list[Tensor] = [x]
        for (source, target), edge in zip(EDGES, self.edges, strict=True):
            out = edge(nodes[source])
            if target == len(nodes):
                nodes.append(out)
            else:
                nodes[target] = nodes[target] + out
        return nodes[-1]


class Shrink(nn.Module):
    """The residual block between stages: halves the map and widens it.

    Args:
        c_in: channels read.
        c_out: channels made.
    """

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.body = nn.Sequential(ReLUConvBN(c_in, c_out, 3, 2), ReLUConvBN(c_out, c_out, 3))
        self.shortcut = nn.Sequential(nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(c_in, c_out, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """(n, c_in, h, w) -> (n, c_out, ceil(h / 2), ceil(w / 2))."""
        out: Tensor = self.shortcut(x) + self.body(x)
        return out


class StagedBackbone(nn.Module):
    """Images (n, channels, side, side) to features (n, 4 * width).

    Args:
        stem: images to the first map.
        blocks: cells, and what shrinks maps between stages.
        features: channels of the last.
    """

    def __init__(self, stem: nn.Module, blocks: Sequence[nn.Module], features: int) -> None:
        super().__init__()
        self.stem, self.blocks = stem, nn.ModuleList(blocks)
        self.last = nn.Sequential(nn.BatchNorm2d(features), nn.ReLU())
        self.stage_names = ("stem", *(f"blocks.{i}" for i in range(len(blocks))), "last")

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, features)."""
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.last(x)
        return out.mean((2, 3))


@dataclass(frozen=True, kw_only=True)
class NASBench201Net(PublishedSpace):
    """Three stages of one cell of 6 edges with 5 operations: 15,625 architectures.

    Architectures are configs of `autodl.nas.nasbench201`, so that what is searched here can be
    looked up there.

    Attributes:
        size: "small" (1 cell a stage, width 8, maps from 16 px on), "cifar" (as published: 5 cells a
            stage, width 16, 32 px) or "large" (the same after a stem that halves twice).
        cells: of each stage. None: by size.
        width: channels of the first stage; doubled at each further one. None: by size.

    Example:
        >>> NASBench201Net().space(num_classes=10).size()
        15625
    """

    name: ClassVar[str] = "nasbench201"
    sizes: ClassVar[tuple[str, ...]] = ("small", "cifar", "large")

    cells: int | None = None
    width: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for label, value in (("cells", self.cells), ("width", self.width)):
            if value is not None:
                check_whole(label, value)

    def network(self, num_classes: int, channels: int, side: int) -> nn.Module:
        """See `PublishedSpace.network`."""
        is_small = self.size == "small"
        width, cells = self.width or (8 if is_small else 16), self.cells or (1 if is_small else 5)
        first_map = {"small": 16, "cifar": 32, "large": 56}[self.size]
        stem, _ = small_stem(channels, width, side, first_map)
        blocks: list[nn.Module] = []
        for stage in range(3):
            if stage:
                blocks.append(Shrink(width, 2 * width))
                width *= 2
            blocks += [Cell(width) for _ in range(cells)]
        return as_classifier(StagedBackbone(stem, blocks, width), width, num_classes, channels, side)

    def table_string(self, arch: Mapping[str, Value]) -> str:
        """The benchmark's string of an architecture."""
        return to_string(dict(arch))

    def arch(self, table_string: str) -> Arch:
        """The architecture of one of the benchmark's strings."""
        return dict(as_config(table_string))

    def pictures(self, arch: Arch) -> list[Picture]:
        """The cell."""
        names = ("in", "1", "2", "out")
        edges = [
            Edge(names[source], names[target], str(arch[label]))
            for (source, target), label in zip(EDGES, LABELS, strict=True)
            if arch[label] != "none"
        ]
        return [Graph("cell", names, tuple(edges))]
