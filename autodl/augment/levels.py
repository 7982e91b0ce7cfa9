"""Magnitudes of ops on a scale of whole levels, as AutoAugment and its successors define them.

The scales differ between methods in a few end points only; those are a `LevelScale`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from autodl.augment.op_table import OP_INDEX, OP_NAMES, OPS

SIGNED = frozenset(name for name, op in OPS.items() if op.signed)
FACTORS = frozenset(name for name in SIGNED if OPS[name].kind == "colour")
"""Ops whose magnitude goes both ways, each with probability 1/2."""


@dataclass(frozen=True, slots=True)
class LevelScale:
    """End points of every op's magnitudes; level 0 is the op's weakest.

    Attributes:
        shear: largest tangent.
        rotate: largest angle in degrees.
        factor: largest distance of a colour factor from 1.
        posterize: bits at the lowest and at the highest level.
        translate_share: largest shift as a share of the side; None: `translate_pixels` holds.
        translate_pixels: largest shift in pixels.
    """

    shear: float
    rotate: float
    factor: float
    posterize: tuple[int, int]
    translate_share: float | None = None
    translate_pixels: float = 0.0

    def magnitudes(self, num_levels: int, height: int, width: int) -> Tensor:
        """Table of all magnitudes.

        Returns:
            (2, ops, num_levels) float32: negative sign first; ops in the order of `OP_NAMES`. Equal
            halves where an op has no sign, 0 where it has no magnitude.
        """
        return _table(self, num_levels, height, width)

    def _offsets(self, num_levels: int, height: int, width: int) -> dict[str, Tensor]:
        def ramp(end: float) -> Tensor:
            return torch.linspace(0.0, end, num_levels)

        first, last = self.posterize
        bits = (first - torch.arange(num_levels) / ((num_levels - 1) / (first - last))).round()
        offsets = dict.fromkeys(("ShearX", "ShearY"), ramp(self.shear))
        offsets |= dict.fromkeys(FACTORS, ramp(self.factor))
        for name, side in (("TranslateX", width), ("TranslateY", height)):
            share = self.translate_share
            offsets[name] = ramp(self.translate_pixels if share is None else share * side).trunc()
        return offsets | {
            "Rotate": ramp(self.rotate),
            "Posterize": bits,
            "Solarize": torch.linspace(1.0, 0.0, num_levels) * 255.0,
        }


AUTO_AUGMENT_SCALE = LevelScale(
    shear=0.3, rotate=30.0, factor=0.9, posterize=(8, 4), translate_share=150.0 / 331.0
)
"""Of AutoAugment (10 levels) and RandAugment (31)."""

WIDE_SCALE = LevelScale(shear=0.99, rotate=135.0, factor=0.99, posterize=(8, 2), translate_pixels=32.0)
"""Of TrivialAugment Wide."""

AUGMIX_SCALE = LevelScale(shear=0.3, rotate=30.0, factor=0.9, posterize=(4, 0), translate_share=1.0 / 3.0)
"""Of AugMix (10 levels)."""


def op_indices(names: tuple[str, ...]) -> Tensor:
    """(len(names),) int64 indices into `OP_NAMES`."""
    return torch.tensor([OP_INDEX[name] for name in names])


@lru_cache(maxsize=256)
def _table(scale: LevelScale, num_levels: int, height: int, width: int) -> Tensor:
    table = torch.zeros(2, len(OP_NAMES), num_levels)
    for name, offset in scale._offsets(num_levels, height, width).items():
        base = 1.0 if name in FACTORS else 0.0
        table[0, OP_INDEX[name]] = base - offset if name in SIGNED else offset
        table[1, OP_INDEX[name]] = base + offset
    return table
