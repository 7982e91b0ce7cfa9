"""Ops on the bytes of one image, (c, h, w) or (h, w, c), for large images on a CPU without numba.

They give the bytes of `torch_colour`: the same floats in the same order. NumPy casts and compares
bytes several times as fast as torch, which in turn is faster at float arithmetic; each takes its
part, in buffers that live as long as the batch, since fresh memory costs more than the arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from autodl.augment.op_table import CUTOUT_FILL
from autodl.augment.torch_colour import GREY_WEIGHTS

Bytes = NDArray[np.uint8]


class Workspace:
    """Buffers for images of one size."""

    def __init__(self, channels: int, height: int, width: int) -> None:
        self._floats = torch.empty(channels * height * width)
        self._grey = torch.empty(height, width)

    def load(self, image: Bytes) -> torch.Tensor:
        """The image as floats, in the buffer."""
        floats = self._floats[: image.size].view(image.shape)
        np.copyto(floats.numpy(), image)
        return floats

    def load_with_grey(self, planes: Bytes) -> tuple[torch.Tensor, torch.Tensor]:
        """(c, h, w) floats and (h, w) luma, rounded down; sums stay below 2^24, where float32 is exact."""
        floats, grey = self.load(planes), self._grey
        if len(floats) == 1:
            return floats, grey.copy_(floats[0])
        torch.mul(floats[0], float(GREY_WEIGHTS[0]), out=grey)
        for channel in (1, 2):
            grey.add_(floats[channel], alpha=float(GREY_WEIGHTS[channel]))
        return floats, grey.mul_(1 / 65536).floor_()


def _bytes(floats: torch.Tensor) -> Bytes:
    """Floats cut to 0..255, in place, and rounded down."""
    return floats.clamp_(0, 255).numpy().astype(np.uint8)


def _rest(factor: float) -> float:
    """1 - factor in float32."""
    return float(np.float32(1) - np.float32(factor))


def contrast(planes: Bytes, factor: float, work: Workspace) -> Bytes:
    """`torch_colour.contrast` of (c, h, w)."""
    floats, grey = work.load_with_grey(planes)
    mean = np.float32(grey.sum(dtype=torch.float64).item() / grey.numel())
    return _bytes(floats.mul_(factor).add_(float(mean * np.float32(_rest(factor)))))


def color(planes: Bytes, factor: float, work: Workspace) -> Bytes:
    """`torch_colour.color` of (c, h, w)."""
    if len(planes) == 1:
        return planes
    floats, grey = work.load_with_grey(planes)
    return _bytes(floats.mul_(factor).add_(grey.mul_(_rest(factor))))


def equalize_table(counts: NDArray[np.int64]) -> Bytes:
    """(256,) new levels from a channel's histogram."""
    step = (int(counts.sum()) - int(counts[counts.nonzero()[0][-1]])) // 255
    if step == 0:
        return np.arange(256, dtype=np.uint8)
    return np.minimum((counts.cumsum() - counts + step // 2) // step, 255).astype(np.uint8)


def equalize(planes: Bytes) -> Bytes:
    """`torch_colour.equalize` of (c, h, w)."""
    result = np.empty_like(planes)
    for plane, out in zip(planes, result, strict=True):
        counts = torch.bincount(torch.from_numpy(plane).view(-1), minlength=256).numpy()
        # The fastest look-up table of bytes that there is in Python without compiling.
        levels = plane.tobytes().translate(equalize_table(counts).tobytes())
        out[...] = np.frombuffer(levels, np.uint8).reshape(out.shape)
    return result


def _brightness(image: Bytes, factor: float, work: Workspace, _: bool) -> Bytes:
    return _bytes(work.load(image).mul_(factor))


def _sharpness(image: Bytes, factor: float, work: Workspace, interleaved: bool) -> Bytes:
    rows, step = (image.reshape(1, len(image), -1), 3) if interleaved else (image, 1)
    inner = rows.shape[2] - 2 * step  # bytes of a row between its outermost pixels
    if rows.shape[1] <= 2 or inner <= 0:
        return image
    wide = rows.astype(np.int16)
    sums = wide[:, :-2] + wide[:, 1:-1]
    sums += wide[:, 2:]
    total = wide[:, 1:-1, step : step + inner] * np.int16(4)
    for start in (0, step, 2 * step):
        total += sums[..., start : start + inner]
    blur = torch.from_numpy(total.astype(np.float32)).mul_(1 / 13).round_().mul_(_rest(factor))
    floats = work.load(rows[:, 1:-1, step : step + inner])
    result = rows.copy()
    result[:, 1:-1, step : step + inner] = _bytes(floats.mul_(factor).add_(blur))
    return result.reshape(image.shape)


def _posterize(image: Bytes, bits: float, _: Workspace, __: bool) -> Bytes:
    kept = min(max(int(bits), 0), 8)
    return image & np.uint8(256 - (1 << (8 - kept)) if kept else 0)


def _solarize(image: Bytes, threshold: float, _: Workspace, __: bool) -> Bytes:
    level = max(math.ceil(threshold), 0)
    if level > 255:
        return image
    mask = (image >= np.uint8(level)).view(np.uint8)
    np.negative(mask, out=mask)
    return np.bitwise_xor(image, mask, out=mask)


def _invert(image: Bytes, _: float, __: Workspace, ___: bool) -> Bytes:
    return np.invert(image)


def _autocontrast(image: Bytes, _: float, work: Workspace, interleaved: bool) -> Bytes:
    floats = work.load(image)
    if interleaved:  # over rows first: three channels side by side are too narrow to be fast
        low, high = (torch.from_numpy(level) for level in (image.min(0).min(0), image.max(0).max(0)))
        span = torch.where(high > low, high - low, 255).float()
        low = torch.where(high > low, low, 0).float()
        width = image.shape[1]
        floats.view(len(image), -1).sub_(low.repeat(width)).mul_(255).div_(span.repeat(width))
        return _bytes(floats)
    flat = image.reshape(len(image), -1)
    for plane, bottom, top in zip(floats, flat.min(1).tolist(), flat.max(1).tolist(), strict=True):
        if bottom < top:
            plane.sub_(bottom).mul_(255).div_(top - bottom)
    return _bytes(floats)


ARRAY_OPS: dict[str, Callable[[Bytes, float, Workspace, bool], Bytes]] = {
    "AutoContrast": _autocontrast,
    "Invert": _invert,
    "Solarize": _solarize,
    "Posterize": _posterize,
    "Brightness": _brightness,
    "Sharpness": _sharpness,
}
"""Bytes in either layout, magnitude, buffers and whether channels lie side by side to new bytes;
the same array where nothing changes."""

PLANE_OPS: dict[str, Callable[[Bytes, float, Workspace], Bytes]] = {"Contrast": contrast, "Color": color}
"""Of planes only: they need the luma of a pixel."""


def move_whole(image: Bytes, pixels: int, axis: int) -> Bytes:
    """Move by whole pixels along an axis; black comes in."""
    length = image.shape[axis]
    kept = max(0, length - abs(pixels))
    result = np.zeros_like(image)
    old, new = np.moveaxis(image, axis, 0), np.moveaxis(result, axis, 0)
    if pixels >= 0:
        new[length - kept :] = old[:kept]
    else:
        new[:kept] = old[length - kept :]
    return result


def paint(image: Bytes, side: int, place: Sequence[float], interleaved: bool) -> Bytes:
    """Paint Cutout's grey square, centred at (y, x) ``place`` in [0, 1)."""
    result, side = image.copy(), max(side, 0)
    pixels = result if interleaved else result.transpose(1, 2, 0)
    corner = []
    for share, length in zip(place, pixels.shape, strict=False):
        start = math.floor(np.float32(share) * np.float32(length)) - side // 2
        corner.append(slice(max(start, 0), max(start + side, 0)))
    pixels[corner[0], corner[1]] = CUTOUT_FILL[pixels.shape[2]]
    return result
