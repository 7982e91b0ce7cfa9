"""The space of ProxylessNAS.

Source: H. Cai, L. Zhu, S. Han, "ProxylessNAS: Direct Neural Architecture Search on Target Task and
Hardware", ICLR 2019, section 4.2; widths and numbers of blocks as the authors released them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from torch import nn

from autodl.checks import check_whole
from autodl.errors import OptionError
from autodl.nas.choices import OpChoice
from autodl.nas.decisions import Arch
from autodl.nas.picture import Chain, Picture, Step
from autodl.nas.space_factory import PublishedSpace, as_tuples
from autodl.nas.spaces.frame import as_classifier
from autodl.nas.spaces.mbconv import mbconv, separable
from autodl.nas.spaces.mobile_network import Place, Skeleton, Stage, block_label

_LARGE = Skeleton(
    stem=32,
    stages=tuple(
        Stage(*numbers)
        for numbers in ((24, 4, 2), (40, 4, 2), (80, 4, 2), (96, 4, 1), (192, 4, 2), (320, 1, 1))
    ),
    first=16,
    last=1280,
    act="relu6",
    is_small=False,
)
_SMALL = Skeleton(
    stem=16,
    stages=(Stage(16, 2, 1), Stage(24, 2, 2), Stage(40, 2, 2)),
    first=8,
    last=128,
    act="relu6",
    is_small=True,
)


@dataclass(frozen=True, kw_only=True)
class ProxylessNAS(PublishedSpace):
    """Each block its own kernel and expansion, or none at all where a shortcut fits.

    The large size has 6 blocks of 6 operations and 15 of 7.

    Attributes:
        kernels: of the depthwise convolutions. None: by size.
        expansions: inner channels for each channel read.

    Raises:
        OptionError: an unknown size, no kernels or expansions.

    Example:
        >>> ProxylessNAS(size="large").skeleton.stages[-1].width
        320
    """

    name: ClassVar[str] = "proxyless"

    kernels: tuple[int, ...] | None = None
    expansions: tuple[int, ...] = (3, 6)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "kernels", as_tuples(self.kernels))
        object.__setattr__(self, "expansions", as_tuples(self.expansions))
        for value in (*self.open_kernels, *self.expansions):
            check_whole("kernels and expansions", value)
        if not self.expansions or not self.open_kernels or any(k % 2 == 0 for k in self.open_kernels):
            raise OptionError(f"{self.name}: kernels are odd, and there is one of each, got {self}")

    @property
    def skeleton(self) -> Skeleton:
        """What is not searched."""
        return _SMALL if self.size == "small" else _LARGE

    @property
    def open_kernels(self) -> tuple[int, ...]:
        """Kernels to choose from."""
        return self.kernels or ((3, 5) if self.size == "small" else (3, 5, 7))

    def network(self, num_classes: int, channels: int, side: int) -> nn.Module:
        """See `PublishedSpace.network`."""
        backbone = self.skeleton.build(
            channels, side, make_first=partial(separable, act=self.skeleton.act), make_block=self.block
        )
        return as_classifier(backbone, backbone.feature_dim, num_classes, channels, side)

    def block(self, place: Place) -> OpChoice:
        """The choice at one place."""
        candidates: dict[str, nn.Module] = {
            f"k{kernel}e{expand}": mbconv(
                place.c_in,
                place.c_out,
                kernel=kernel,
                stride=place.stride,
                expand=expand,
                act=self.skeleton.act,
            )
            for kernel in self.open_kernels
            for expand in self.expansions
        }
        if place.keeps_shape:  # the paper's zero beside a shortcut
            candidates["skip"] = nn.Identity()
        return OpChoice(candidates, label=block_label(place))

    def pictures(self, arch: Arch) -> list[Picture]:
        """The row of blocks."""
        return [chain_of_blocks(self.name, arch)]


def chain_of_blocks(title: str, arch: Arch) -> Chain:
    """Labels "stage1/block1" as a row, one group a stage."""
    steps = [Step(label, str(op), label.partition("/")[0]) for label, op in arch.items()]
    return Chain(title, tuple(steps))
