"""The space of FBNet.

Source: B. Wu et al., "FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable Neural
Architecture Search", CVPR 2019, tables 1 and 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from autodl.nas.choices import OpChoice
from autodl.nas.decisions import Arch
from autodl.nas.picture import Picture
from autodl.nas.space_factory import PublishedSpace
from autodl.nas.spaces.frame import as_classifier, conv_bn
from autodl.nas.spaces.mbconv import mbconv, separable
from autodl.nas.spaces.mobile_network import Place, Skeleton, Stage, block_label
from autodl.nas.spaces.proxyless import chain_of_blocks

BLOCKS: dict[str, tuple[int, int, int]] = {
    f"k{kernel}_e{expand}" + ("_g2" if groups == 2 else ""): (kernel, expand, groups)
    for kernel in (3, 5)
    for expand, groups in ((1, 1), (1, 2), (3, 1), (6, 1))
}
"""Name -> kernel, expansion, groups of the pointwise convolutions."""

_LARGE = Skeleton(
    stem=16,
    stages=tuple(
        Stage(*numbers)
        for numbers in (
            (16, 1, 1),
            (24, 4, 2),
            (32, 4, 2),
            (64, 4, 2),
            (112, 4, 1),
            (184, 4, 2),
            (352, 1, 1),
        )
    ),
    first=0,
    last=1984,
    act="relu",
    is_small=False,
)
_SMALL = Skeleton(
    stem=16,
    stages=(Stage(16, 1, 1), Stage(24, 2, 2), Stage(32, 2, 2)),
    first=0,
    last=128,
    act="relu",
    is_small=True,
)


@dataclass(frozen=True, kw_only=True)
class FBNet(PublishedSpace):
    """22 layers (5 in the small size), each one of 9 blocks: 8 inverted residuals, or none.

    Where shapes differ, "skip" is a pointwise convolution that makes them fit.

    Example:
        >>> FBNet().space(num_classes=10).size() == 9**5
        True
    """

    name: ClassVar[str] = "fbnet"

    @property
    def skeleton(self) -> Skeleton:
        """What is not searched."""
        return _SMALL if self.size == "small" else _LARGE

    def network(self, num_classes: int, channels: int, side: int) -> nn.Module:
        """See `PublishedSpace.network`."""
        backbone = self.skeleton.build(channels, side, make_first=separable, make_block=self.block)
        return as_classifier(backbone, backbone.feature_dim, num_classes, channels, side)

    def block(self, place: Place) -> OpChoice:
        """The choice at one place."""
        candidates: dict[str, nn.Module] = {
            name: mbconv(
                place.c_in,
                place.c_out,
                kernel=kernel,
                stride=place.stride,
                expand=expand,
                groups=groups,
                act=self.skeleton.act,
                always_expand=True,
            )
            for name, (kernel, expand, groups) in BLOCKS.items()
        }
        candidates["skip"] = (
            nn.Identity()
            if place.keeps_shape
            else nn.Sequential(*conv_bn(place.c_in, place.c_out, 1, place.stride), nn.ReLU())
        )
        return OpChoice(candidates, label=block_label(place))

    def pictures(self, arch: Arch) -> list[Picture]:
        """The row of layers."""
        return [chain_of_blocks(self.name, arch)]
