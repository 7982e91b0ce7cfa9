"""Magnitudes as torchvision's definitions give them, in the units of `apply_ops`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def magnitudes_of(
    space: Mapping[str, Any], op: str, bins: int, height: int, width: int, levels: Sequence[int] | None = None
) -> list[float]:
    """All magnitudes of an op at some levels, both signs."""
    make, signed = space[op]
    table = make(bins, height, width)
    if table is None:
        return [0.0]
    values = [float(table[level]) for level in (range(bins) if levels is None else levels)]
    both = [sign * value for value in values for sign in ((-1, 1) if signed else (1,))]
    if op in ("Brightness", "Color", "Contrast", "Sharpness"):
        return [1.0 + value for value in both]
    if op == "Solarize":
        return [255.0 * value for value in both]
    if op.startswith("Translate") or op == "Posterize":
        return [float(int(value)) for value in both]
    return both
