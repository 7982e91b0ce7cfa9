"""The ops that policies are made of: names, kinds, and what a strength means for each.

Source of the ops and ranges: Cubuk et al., AutoAugment, 2019, table 6; Lim et al., Fast
AutoAugment, 2019. There geometry is mirrored at random *and* has a signed level, so that half of
the level axis repeats the other half; here the level is a strength from 0 (nothing happens) to 1
with a sign of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

OpKind = Literal["identity", "geometric", "colour", "cutout"]


@dataclass(frozen=True, slots=True)
class Op:
    """One op and its range of magnitudes.

    Args:
        name: as in `OP_NAMES`.
        kind: "identity", "geometric" (moves pixels), "colour" (changes grey levels) or "cutout".
        signed: whether the sign of the change is drawn as well.
        low: magnitude at strength 0, where the op does nothing (but see ``has_level``).
        high: magnitude at strength 1: the end of Fast AutoAugment's range.
        has_level: whether the op has a strength; Invert, AutoContrast and Equalize have none.
        per_side: whether ``low`` and ``high`` are shares of the image's side.
        whole: whether the magnitude is a whole number (bits, pixels of Cutout).
    """

    name: str
    kind: OpKind
    signed: bool
    low: float
    high: float
    has_level: bool = True
    per_side: bool = False
    whole: bool = False

    def magnitude(self, strength: Tensor, sign: Tensor, side: int | Tensor) -> Tensor:
        """The magnitude that `apply_ops` takes.

        Args:
            strength: float, 0..1.
            sign: -1 or 1, same shape; unused unless the op is signed.
            side: of the image in pixels: the width for TranslateX, the height for TranslateY.

        Returns:
            float32, the shape of ``strength``.
        """
        span = (self.high - self.low) * strength
        if self.signed:
            span = span * sign
        value = (self.low + span) * side if self.per_side else self.low + span
        return (value.round() if self.whole else value).to(torch.float32)


_TABLE = (
    Op("Identity", "identity", False, 0.0, 0.0, has_level=False),
    Op("ShearX", "geometric", True, 0.0, 0.3),
    Op("ShearY", "geometric", True, 0.0, 0.3),
    Op("TranslateX", "geometric", True, 0.0, 0.45, per_side=True),
    Op("TranslateY", "geometric", True, 0.0, 0.45, per_side=True),
    Op("Rotate", "geometric", True, 0.0, 30.0),
    Op("AutoContrast", "colour", False, 0.0, 0.0, has_level=False),
    Op("Invert", "colour", False, 0.0, 0.0, has_level=False),
    Op("Equalize", "colour", False, 0.0, 0.0, has_level=False),
    Op("Solarize", "colour", False, 256.0, 0.0),
    Op("Posterize", "colour", False, 8.0, 4.0, whole=True),
    Op("Contrast", "colour", True, 1.0, 1.9),
    Op("Color", "colour", True, 1.0, 1.9),
    Op("Brightness", "colour", True, 1.0, 1.9),
    Op("Sharpness", "colour", True, 1.0, 1.9),
    Op("Cutout", "cutout", False, 0.0, 0.2, per_side=True, whole=True),
)

OP_NAMES: tuple[str, ...] = tuple(op.name for op in _TABLE)
"""Every op; its place here is its number in the ``ops`` of `apply_ops`."""

OPS: dict[str, Op] = {op.name: op for op in _TABLE}
"""The ops by name, in the order of `OP_NAMES`."""

OP_INDEX: dict[str, int] = {name: index for index, name in enumerate(OP_NAMES)}
"""The number of each op."""

CUTOUT_FILL: dict[int, tuple[int, ...]] = {1: (120,), 3: (125, 123, 114)}
"""The grey that Cutout paints, by the number of channels: CIFAR-10's mean, as published."""
