"""The ops in plain torch, for any device: images are grouped by op, geometry is one gather."""

from __future__ import annotations

import torch
from torch import Tensor

from autodl.augment.geometry import source_tables
from autodl.augment.op_table import CUTOUT_FILL, OP_INDEX, OP_NAMES, OPS
from autodl.augment.torch_colour import COLOUR_OPS
from autodl.errors import OptionError

_CHUNK_BYTES = 1 << 19
"""Images handled at once: keeps the float temporaries of a group inside the cache."""


def torch_ops(images: Tensor, ops: Tensor, magnitudes: Tensor, places: Tensor | None) -> Tensor:
    """`autodl.augment.apply_ops` on checked arguments."""
    result = images.clone(memory_format=torch.preserve_format)
    device = images.device
    magnitudes = magnitudes.to(device, torch.float32)
    chunk = max(1, _CHUNK_BYTES // max(1, images[0].numel() if len(images) else 1))
    geometric: list[Tensor] = []
    for op, rows in _groups(ops.cpu()):
        name = OP_NAMES[op]
        kind = OPS[name].kind
        if kind == "geometric":
            geometric.append(rows)
        elif kind == "cutout":
            rows = rows.to(device)
            centres = None if places is None else places.to(device)[rows]
            result[rows] = _cutout(images[rows], magnitudes[rows], centres)
        elif kind == "colour":
            for part in rows.to(device).split(chunk):
                result[part] = COLOUR_OPS[name](images[part], magnitudes[part])
    if geometric:
        every = torch.cat(geometric)
        numbers = ops.cpu()[every].to(device)
        for part, number in zip(every.to(device).split(chunk), numbers.split(chunk), strict=True):
            result[part] = _affine(images[part], number, magnitudes[part])
    return result


def _groups(ops: Tensor) -> list[tuple[int, Tensor]]:
    """Each op that occurs and the rows of its images."""
    if len(ops) and not 0 <= int(ops.min()) <= int(ops.max()) < len(OP_NAMES):
        raise OptionError(f"ops must be in 0..{len(OP_NAMES) - 1}, got {int(ops.min())}..{int(ops.max())}")
    order = ops.argsort(stable=True)
    counts = torch.bincount(ops, minlength=len(OP_NAMES)).tolist()
    parts = order.split(counts)
    return [(op, rows) for op, rows in enumerate(parts) if len(rows) and op != OP_INDEX["Identity"]]


def _affine(images: Tensor, ops: Tensor, magnitudes: Tensor) -> Tensor:
    number, channels, height, width = images.shape
    tables = source_tables(ops, magnitudes, height, width)
    x = (tables.x_row[:, :, None] + tables.x_column[:, None, :]).bitwise_right_shift_(tables.bits)
    y = (tables.y_row[:, :, None] + tables.y_column[:, None, :]).bitwise_right_shift_(tables.bits)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    index = y.mul_(width).add_(x).mul_(inside).view(number, 1, -1).long()
    flat = images.reshape(number, channels, height * width)
    moved = flat.gather(2, index.expand(number, channels, -1))
    return moved.mul_(inside.view(number, 1, -1)).view(images.shape)


def _cutout(images: Tensor, sides: Tensor, places: Tensor | None) -> Tensor:
    number, channels, height, width = images.shape
    if places is None:
        places = torch.full((number, 2), 0.5, device=images.device)
    side = sides.trunc().long().clamp_(min=0)[:, None]
    inside = []
    for axis, length in enumerate((height, width)):
        start = (places[:, axis, None] * length).floor().long() - side // 2
        position = torch.arange(length, device=images.device)
        inside.append((position >= start) & (position < start + side))
    mask = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    fill = torch.tensor(CUTOUT_FILL[channels], dtype=torch.uint8, device=images.device)
    return torch.where(mask, fill[:, None, None], images)
