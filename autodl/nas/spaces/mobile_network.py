"""The network around mobile blocks: a stem, stages of blocks, a pointwise convolution, a mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from autodl.nas.spaces.frame import conv_bn, fitting_stride, small_stem
from autodl.nas.spaces.mbconv import activation

FIRST_MAP = 16
"""Side that a small network's stem brings images to, pixels."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Blocks of one width; the first has the stride.

    Attributes:
        width: channels.
        blocks: how many.
        stride: of the first.
    """

    width: int
    blocks: int
    stride: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a block stands.

    Attributes:
        number: of the block, from 0.
        stage: its stage, from 0.
        index: within the stage, from 0.
        c_in: channels read.
        c_out: channels made.
        stride: 1 or 2.
    """

    number: int
    stage: int
    index: int
    c_in: int
    c_out: int
    stride: int

    @property
    def keeps_shape(self) -> bool:
        """Whether a shortcut fits."""
        return self.stride == 1 and self.c_in == self.c_out


def places(stages: Sequence[Stage], c_in: int, side: int | None) -> Iterator[Place]:
    """Every block of some stages.

    Args:
        stages: input side first.
        c_in: channels of the stem.
        side: of the stem's map, pixels, so that small maps are not shrunk; None: strides as given.
    """
    number = 0
    for at, stage in enumerate(stages):
        for index in range(stage.blocks):
            stride = stage.stride if index == 0 else 1
            if side is not None:
                stride, side = fitting_stride(stride, side)
            yield Place(number, at, index, c_in, stage.width, stride)
            c_in, number = stage.width, number + 1


class MobileBackbone(nn.Module):
    """Images (n, channels, side, side) to features (n, feature_dim).

    Args:
        stem: images to the first map.
        blocks: one after another.
        last: what follows them, before the mean over the map.
        feature_dim: channels of its output.
        wide: features after the mean, of one more layer; 0: there is none.
    """

    def __init__(
        self, stem: nn.Module, blocks: Sequence[nn.Module], last: nn.Module, feature_dim: int, wide: int = 0
    ) -> None:
        super().__init__()
        self.stem, self.blocks, self.last = stem, nn.ModuleList(blocks), last
        self.wide = nn.Sequential(nn.Linear(feature_dim, wide), nn.Hardswish()) if wide else nn.Identity()
        feature_dim = wide or feature_dim
        self.feature_dim = feature_dim
        self.stage_names = ("stem", *(f"blocks.{i}" for i in range(len(blocks))), "last")

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, feature_dim)."""
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.wide(self.last(x).mean((2, 3)))
        return out


@dataclass(frozen=True, slots=True)
class Skeleton:
    """What of a mobile network is not searched.

    Attributes:
        stem: channels of the first convolution.
        stages: of searched blocks.
        first: channels of a fixed separable block after the stem; 0: there is none.
        last: channels before the mean.
        act: see `autodl.nas.spaces.mbconv.ACTIVATIONS`.
        is_small: the stem fits the image, and small maps are not shrunk.
    """

    stem: int
    stages: tuple[Stage, ...]
    first: int
    last: int
    act: str
    is_small: bool

    def build(
        self,
        channels: int,
        side: int,
        *,
        make_first: Callable[[int, int], nn.Module],
        make_block: Callable[[Place], nn.Module],
    ) -> MobileBackbone:
        """The backbone.

        Args:
            channels: of the images.
            side: of the images, pixels.
            make_first: the fixed block, by its channels.
            make_block: a searched block.
        """
        map_side: int | None = None
        if self.is_small:
            stem, map_side = small_stem(channels, self.stem, side, FIRST_MAP)
        else:
            stem = nn.Sequential(*conv_bn(channels, self.stem, 3, 2))
        stem.append(activation(self.act))
        blocks = [make_first(self.stem, self.first)] if self.first else []
        for place in places(self.stages, self.first or self.stem, map_side):
            blocks.append(make_block(place))
        last = nn.Sequential(*conv_bn(self.stages[-1].width, self.last, 1), activation(self.act))
        return MobileBackbone(stem, blocks, last, self.last)


def block_label(place: Place) -> str:
    """Label of the decision on a block."""
    return f"stage{place.stage + 1}/block{place.index + 1}"
