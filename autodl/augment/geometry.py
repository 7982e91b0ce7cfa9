"""Where each output pixel of a geometric op comes from, as integer tables by row and by column.

An affine map takes output pixel (x, y) to input pixel (a x + b y + c, d x + e y + f). Each
coordinate is a sum of a term of the row and a term of the column, so two short tables an image
hold the whole map. They are rounded once, to 32-bit fixed point with as many fractional bits as
the image's side allows (23 at 32 px, 20 at 224 px), so that every backend and device finds the
same pixels, and no error adds up along a row.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from autodl.augment.op_table import OP_INDEX

_SHEAR_X, _SHEAR_Y = OP_INDEX["ShearX"], OP_INDEX["ShearY"]
_TRANSLATE_X, _TRANSLATE_Y = OP_INDEX["TranslateX"], OP_INDEX["TranslateY"]
_ROTATE = OP_INDEX["Rotate"]


class SourceTables(NamedTuple):
    """Input pixel of output (x, y): ``(x_row[y] + x_column[x]) >> bits``, and likewise its row.

    Args:
        x_row: (n, h) int32.
        x_column: (n, w) int32.
        y_row: (n, h) int32.
        y_column: (n, w) int32.
        bits: fractional bits.
    """

    x_row: Tensor
    x_column: Tensor
    y_row: Tensor
    y_column: Tensor
    bits: int


def fraction_bits(height: int, width: int) -> int:
    """Fractional bits such that six times the longer side still fits 31 bits."""
    return 31 - math.ceil(math.log2(6 * max(height, width, 2)))


def source_tables(ops: Tensor, magnitudes: Tensor, height: int, width: int) -> SourceTables:
    """Tables of geometric ops, nearest pixel.

    Shear is about the top left corner, rotation (degrees, anti-clockwise) about the centre,
    as in torchvision's functional calls.

    Args:
        ops: (n,) int64, numbers of geometric ops.
        magnitudes: (n,) tangent, pixels (cut to whole ones) or degrees.
        height: of the images, pixels.
        width: of the images, pixels.
    """
    m = magnitudes.to(torch.float64)
    angle = torch.where(ops == _ROTATE, m, 0.0) * (math.pi / 180)
    cos, sin = angle.cos(), angle.sin()
    shear_x, shear_y = torch.where(ops == _SHEAR_X, m, 0.0), torch.where(ops == _SHEAR_Y, m, 0.0)
    move_x = torch.where(ops == _TRANSLATE_X, m, 0.0).trunc()
    move_y = torch.where(ops == _TRANSLATE_Y, m, 0.0).trunc()
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    start_x = centre_x - cos * centre_x + sin * centre_y + 0.5 * shear_x - move_x
    start_y = centre_y - sin * centre_x - cos * centre_y + 0.5 * shear_y - move_y
    x = torch.arange(width, dtype=torch.float64, device=m.device)
    y = torch.arange(height, dtype=torch.float64, device=m.device)
    bits, side = fraction_bits(height, width), max(height, width, 2)

    def fixed(slope: Tensor, steps: Tensor, start: Tensor | float) -> Tensor:
        values = slope[:, None] * steps + (start[:, None] if isinstance(start, Tensor) else start)
        # Beyond four sides everything is outside, whatever the other term adds.
        return (values.clamp_(-4 * side, 4 * side) * (1 << bits)).round_().to(torch.int32)

    return SourceTables(
        fixed(shear_x - sin, y, start_x + 0.5),
        fixed(cos, x, 0.0),
        fixed(cos, y, start_y + 0.5),
        fixed(shear_y + sin, x, 0.0),
        bits,
    )
