"""Memory layouts of image batches: planes (NCHW) or pixels side by side (channels_last, NHWC)."""

from __future__ import annotations

import torch
from torch import Tensor


def is_interleaved(images: Tensor) -> bool:
    """Whether a dense batch keeps the channels of a pixel side by side."""
    return not images.is_contiguous()


def dense(images: Tensor) -> Tensor:
    """The batch itself if its memory is dense in one of the layouts, else a dense copy."""
    if images.is_contiguous() or images.is_contiguous(memory_format=torch.channels_last):
        return images
    interleaved = images.stride(1) == 1 and images.shape[1] > 1
    return images.contiguous(memory_format=torch.channels_last if interleaved else torch.contiguous_format)


def like(images: Tensor) -> Tensor:
    """An empty batch in the layout of a dense one."""
    return torch.empty_like(images, memory_format=torch.preserve_format)


def rows_of_bytes(images: Tensor) -> Tensor:
    """(n, c * h * w) view of a dense batch, in memory order."""
    if is_interleaved(images):
        images = images.permute(0, 2, 3, 1)
    return images.view(images.shape[0], -1)


def from_rows(rows: Tensor, shape: tuple[int, int, int], interleaved: bool) -> Tensor:
    """(k, c, h, w) view of (k, c * h * w) rows of bytes."""
    channels, height, width = shape
    if interleaved:
        return rows.view(-1, height, width, channels).permute(0, 3, 1, 2)
    return rows.view(-1, channels, height, width)
