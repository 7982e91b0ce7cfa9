"""The cells of NASNet.

Source: B. Zoph et al., "Learning Transferable Architectures for Scalable Image Recognition", CVPR
2018, section 3 and appendix A.

Departures, so that all architectures can share one super-net: a reduction cell halves its inputs and
works on the small maps (published: operations on inputs have a stride of 2), and a block that
concatenates projects back to the cell's width.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from torch import nn

from autodl.checks import check_whole
from autodl.errors import UnknownNameError
from autodl.nas.decisions import Arch
from autodl.nas.picture import Picture
from autodl.nas.space_factory import PublishedSpace
from autodl.nas.spaces.block_cells import (
    BlockGenotype,
    CellKind,
    Layout,
    arch_of_blocks,
    block_network,
    block_pictures,
)
from autodl.nas.spaces.ops import Pool, ReLUConvBN, SepConv

OPS = (
    "identity",
    "conv_1x3_3x1",
    "conv_1x7_7x1",
    "dil_conv_3x3",
    "avg_pool_3x3",
    "max_pool_3x3",
    "max_pool_5x5",
    "max_pool_7x7",
    "conv_1x1",
    "conv_3x3",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "sep_conv_7x7",
)

NASNET_A: BlockGenotype = {
    "normal": [
        ("sep_conv_5x5", 1), ("sep_conv_3x3", 0), ("sep_conv_5x5", 0), ("sep_conv_3x3", 0),
        ("avg_pool_3x3", 1), ("identity", 0), ("avg_pool_3x3", 0), ("avg_pool_3x3", 0),
        ("sep_conv_3x3", 1), ("identity", 1),
    ],
    "reduce": [
        ("sep_conv_5x5", 1), ("sep_conv_7x7", 0), ("max_pool_3x3", 1), ("sep_conv_7x7", 0),
        ("avg_pool_3x3", 1), ("sep_conv_5x5", 0), ("identity", 3), ("avg_pool_3x3", 2),
        ("sep_conv_3x3", 2), ("max_pool_3x3", 1),
    ],
}  # fmt: skip
"""The cells that the paper calls NASNet-A."""


def make_op(name: str, width: int, affine: bool) -> nn.Module:
    """One of `OPS`, on maps (n, width, h, w).

    Raises:
        UnknownNameError: no such operation.
    """
    kind, _, kernel = name.rpartition("_")
    if name == "identity":
        return nn.Identity()
    if kind in ("avg_pool", "max_pool"):
        return Pool(kind[:3], width, int(kernel[0]), norm=not affine)
    if kind == "sep_conv":
        return SepConv(width, width, int(kernel[0]), affine=affine)
    if name in ("conv_1x3_3x1", "conv_1x7_7x1"):
        k = int(name[7])
        pair = (ReLUConvBN(width, width, sides, affine=affine) for sides in ((1, k), (k, 1)))
        return nn.Sequential(*pair)
    if name in ("conv_1x1", "conv_3x3"):
        return ReLUConvBN(width, width, int(kernel[0]), affine=affine)
    if name == "dil_conv_3x3":
        conv = nn.Conv2d(width, width, 3, padding=2, dilation=2, bias=False)
        return nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(width, affine=affine))
    raise UnknownNameError("operation", name, OPS)


@dataclass(frozen=True, kw_only=True)
class NASNet(PublishedSpace):
    """Normal and reduction cells of 5 blocks: two earlier states, two of 13 operations, add or concat.

    Attributes:
        size: "small" (1 normal cell between reductions, maps from 16 px on), "cifar" (2 cells of
            width 32 on 32 px, as searched in the paper) or "large" (the same after two more
            reduction cells, for 224 px).
        blocks: of each cell.
        repeats: normal cells before, between and after the reductions. None: by size.
        width: channels of a state in the first cells. None: by size.
        affine: whether batch normalisations have a scale and a shift.

    Example:
        >>> NASNet(blocks=1).space(num_classes=10).size() == (2 * 2 * 13 * 13 * 2) ** 2
        True
    """

    name: ClassVar[str] = "nasnet"
    sizes: ClassVar[tuple[str, ...]] = ("small", "cifar", "large")

    blocks: int = 5
    repeats: int | None = None
    width: int | None = None
    affine: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for label, value in (("blocks", self.blocks), ("repeats", self.repeats), ("width", self.width)):
            if value is not None:
                check_whole(label, value, 2 if label == "width" else 1)

    def network(self, num_classes: int, channels: int, side: int) -> nn.Module:
        """See `PublishedSpace.network`."""
        width = self.width or {"small": 8, "cifar": 32, "large": 44}[self.size]
        layout = Layout(
            repeats=self.repeats or (1 if self.size == "small" else 2),
            width=width,
            stem=32 if self.size == "large" else 3 * width,
            stem_reductions=2 if self.size == "large" else 0,
            first_map={"small": 16, "cifar": 32, "large": None}[self.size],
        )
        cell = CellKind(self.blocks, OPS, make_op, ("add", "concat"), self.affine)
        return block_network(cell, layout, num_classes=num_classes, channels=channels, side=side)

    def for_retraining(self) -> NASNet:
        """The same cells, with affine normalisation."""
        return replace(self, affine=True)

    def arch(self, genotype: BlockGenotype) -> Arch:
        """The architecture of a published genotype whose blocks add."""
        return arch_of_blocks(genotype, combines=True)

    def pictures(self, arch: Arch) -> list[Picture]:
        """Both cells."""
        return [*block_pictures(self.blocks, arch)]
