"""Magnitudes of strengths in [0, 1], as `Op.magnitude` defines them, for mixed batches in a few calls."""

from __future__ import annotations

import torch
from torch import Tensor

from autodl.augment.op_table import OP_NAMES, OPS

_ROWS = [OPS[name] for name in OP_NAMES]
_LOW = torch.tensor([op.low for op in _ROWS], dtype=torch.float32)
_SPAN = torch.tensor([op.high - op.low for op in _ROWS], dtype=torch.float32)
_SIGNED = torch.tensor([op.signed for op in _ROWS])
_WHOLE = torch.tensor([op.whole for op in _ROWS])
# Row of (1, height, width) that the range is multiplied by.
_SIDE = torch.tensor([(1 if op.name.endswith("Y") else 2) if op.per_side else 0 for op in _ROWS])


def signed_magnitudes(ops: Tensor, strengths: Tensor, signs: Tensor, size: tuple[int, int]) -> Tensor:
    """Magnitudes in the units of `apply_ops`.

    Args:
        ops: int64 index into `OP_NAMES`, of any shape.
        strengths: float32 in [0, 1], of the same shape.
        signs: 0 (negative) or 1, of the same shape; without effect on ops without directions.
        size: height and width of the images in pixels.

    Returns:
        float32 of the same shape.
    """
    sides = torch.tensor([1.0, *map(float, size)])
    direction = torch.where(_SIGNED[ops] & (signs == 0), -1.0, 1.0)
    values = (_LOW[ops] + direction * (strengths * _SPAN[ops])) * sides[_SIDE[ops]]
    return torch.where(_WHOLE[ops], values.round(), values)
