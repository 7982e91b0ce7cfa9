"""The cells of ENAS (micro search).

Source: H. Pham et al., "Efficient Neural Architecture Search via Parameter Sharing", ICML 2018,
section 2.4. The paper counts (5 * (B - 2)!)^4 = 1.3e11 networks of B = 7 nodes; each of its five
nodes draws two states and two operations, which makes (6!^2 * 5^10)^2 = 2.6e25 different descriptions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from torch import nn

from autodl.checks import check_whole
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
from autodl.nas.spaces.nasnet import make_op

OPS = ("sep_conv_3x3", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3", "identity")


@dataclass(frozen=True, kw_only=True)
class ENASMicro(PublishedSpace):
    """Normal and reduction cells of 7 nodes: two inputs, and 5 that add two of 5 operations.

    Reduction cells halve their inputs first, as the authors' search does.

    Attributes:
        size: "small" (1 normal cell between reductions, maps from 16 px on), "cifar" (2 cells of
            width 20 on 32 px) or "large" (the same after two more reduction cells, for 224 px).
        nodes: of each cell, its two inputs included: the paper's B.
        repeats: normal cells before, between and after the reductions. None: by size.
        width: channels of a state in the first cells. None: by size.
        affine: whether batch normalisations have a scale and a shift.

    Example:
        >>> ENASMicro(nodes=3).space(num_classes=10).size() == (2 * 2 * 5 * 5) ** 2
        True
    """

    name: ClassVar[str] = "enas_micro"
    sizes: ClassVar[tuple[str, ...]] = ("small", "cifar", "large")

    nodes: int = 7
    repeats: int | None = None
    width: int | None = None
    affine: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        least_of = (("nodes", self.nodes, 3), ("repeats", self.repeats, 1), ("width", self.width, 2))
        for label, value, least in least_of:
            if value is not None:
                check_whole(label, value, least)

    def network(self, num_classes: int, channels: int, side: int) -> nn.Module:
        """See `PublishedSpace.network`."""
        width = self.width or (8 if self.size == "small" else 20)
        layout = Layout(
            repeats=self.repeats or (1 if self.size == "small" else 2),
            width=width,
            stem=3 * width,
            stem_reductions=2 if self.size == "large" else 0,
            first_map={"small": 16, "cifar": 32, "large": None}[self.size],
        )
        cell = CellKind(self.nodes - 2, OPS, make_op, ("add",), self.affine)
        return block_network(cell, layout, num_classes=num_classes, channels=channels, side=side)

    def for_retraining(self) -> ENASMicro:
        """The same cells, with affine normalisation."""
        return replace(self, affine=True)

    def arch(self, genotype: BlockGenotype) -> Arch:
        """The architecture of a published genotype."""
        return arch_of_blocks(genotype, combines=False)

    def pictures(self, arch: Arch) -> list[Picture]:
        """Both cells."""
        return [*block_pictures(self.nodes - 2, arch)]
