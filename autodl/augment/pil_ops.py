"""The ops image by image, for large images on a CPU without numba.

There a batch does not fit the caches, and torch alone is slow: it casts floats to bytes and
compares bytes one by one. Here each image goes through all its ops before the next one, as an
array for what changes grey levels (see `plane_ops`), as a Pillow image for what moves pixels, and
it changes its form only when the next op needs another one. Pillow shears and rotates over a
rounding of its own, so that fewer than one pixel in a thousand comes from a neighbour of where the
other backends take it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from autodl.augment.layout import dense, is_interleaved, like
from autodl.augment.op_table import OP_NAMES
from autodl.augment.plane_ops import (
    ARRAY_OPS,
    PLANE_OPS,
    Workspace,
    equalize,
    equalize_table,
    move_whole,
    paint,
)
from autodl.augment.step import Step

Bytes = NDArray[np.uint8]


def _affine(image: Image.Image, *coefficients: float) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, coefficients, Image.Resampling.NEAREST)


_PIL_OPS: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    "ShearX": lambda image, m: _affine(image, 1, m, 0, 0, 1, 0),
    "ShearY": lambda image, m: _affine(image, 1, 0, 0, m, 1, 0),
    "Rotate": lambda image, m: image.rotate(m, Image.Resampling.NEAREST),
}
_BANDS = {"L": ("L",), "RGB": ("R", "G", "B")}


def pil_ops(images: Tensor, steps: Sequence[Step]) -> Tensor:
    """A `Backend`."""
    device, images = images.device, dense(images).cpu()
    result = like(images)
    if images.numel() == 0:
        return result.to(device)
    workspace = Workspace(*images.shape[1:])
    numbers = torch.stack([step.ops for step in steps]).T.tolist()
    values = torch.stack([step.magnitudes.to("cpu", torch.float32) for step in steps]).T.tolist()
    middle = torch.full((1, 2), 0.5).expand(len(images), 2)
    spots = torch.stack([middle if step.places is None else step.places.cpu() for step in steps], 1).tolist()
    olds, news = _arrays(images), _arrays(result)
    for old, new, *drawn in zip(olds, news, numbers, values, spots, strict=True):
        canvas = Canvas(old, interleaved=images.shape[1] > 1 and is_interleaved(images))
        for number, value, place in zip(*drawn, strict=True):
            _apply(canvas, OP_NAMES[number], value, place, workspace)
        canvas.save(new)
    return result.to(device)


def _apply(canvas: Canvas, name: str, value: float, place: Sequence[float], work: Workspace) -> None:
    if name in _PIL_OPS:
        canvas.put(_PIL_OPS[name](canvas.pillow(), value))
    elif name in PLANE_OPS:
        canvas.put(PLANE_OPS[name](canvas.planes(), value, work))
    elif name in ARRAY_OPS:
        image, interleaved = canvas.array()
        canvas.put(ARRAY_OPS[name](image, value, work, interleaved), interleaved)
    elif name == "Equalize":
        canvas.put(equalize(canvas.planes()) if canvas.is_planes() else _equalize(canvas.pillow()))
    elif name in ("TranslateX", "TranslateY"):
        image, interleaved = canvas.array()
        axis = (name == "TranslateX") + (not interleaved)
        canvas.put(move_whole(image, int(value), axis), interleaved)
    elif name == "Cutout":
        image, interleaved = canvas.array()
        canvas.put(paint(image, int(value), place, interleaved), interleaved)


def _equalize(image: Image.Image) -> Image.Image:
    """Pillow's rule as `ImageOps.equalize` has it, without its loop over levels."""
    counts = np.array(image.histogram()).reshape(-1, 256)
    return image.point(np.concatenate([equalize_table(channel) for channel in counts]).tolist())


def _arrays(images: Tensor) -> Bytes:
    """(n, c, h, w) planes, or (n, h, w, c) if the channels of a pixel lie side by side."""
    interleaved = images.shape[1] > 1 and is_interleaved(images)
    array: Bytes = (images.permute(0, 2, 3, 1) if interleaved else images).numpy()
    return array


class Canvas:
    """An image in whichever form it has last been changed in.

    Args:
        pixels: (c, h, w), or (h, w, c) if ``interleaved``; not written to.
    """

    def __init__(self, pixels: Bytes, *, interleaved: bool) -> None:
        self._now: Bytes | Image.Image = pixels
        self._now_interleaved = self._interleaved = interleaved

    def put(self, now: Bytes | Image.Image, interleaved: bool = False) -> None:
        """What the last op made: (c, h, w), (h, w, c) or a Pillow image."""
        self._now, self._now_interleaved = now, interleaved

    def is_planes(self) -> bool:
        """Whether the image is (c, h, w) bytes now."""
        return not (isinstance(self._now, Image.Image) or self._now_interleaved)

    def pillow(self) -> Image.Image:
        """The image for Pillow."""
        if isinstance(self._now, Image.Image):
            return self._now
        if self._now_interleaved:
            return _from_array(self._now)
        planes = [_from_array(plane) for plane in self._now]
        return planes[0] if len(planes) == 1 else Image.merge("RGB", planes)

    def planes(self) -> Bytes:
        """(c, h, w)."""
        if not (isinstance(self._now, Image.Image) or self._now_interleaved):
            return self._now
        image = self.pillow()  # Pillow parts and joins bytes faster than NumPy transposes
        parts = [np.frombuffer(image.tobytes("raw", band), np.uint8) for band in _BANDS[image.mode]]
        return np.concatenate(parts).reshape(len(parts), image.height, image.width)

    def array(self) -> tuple[Bytes, bool]:
        """The image as bytes, and whether its channels lie side by side."""
        if not isinstance(self._now, Image.Image):
            return self._now, self._now_interleaved
        return (np.asarray(self._now), True) if self._interleaved else (self.planes(), False)

    def save(self, out: Bytes) -> None:
        """Write the image to an array in the form of the first one."""
        if self._interleaved and not self._now_interleaved:
            out[...] = np.asarray(self.pillow())
        else:
            out[...] = self.array()[0]


def _from_array(pixels: Any) -> Image.Image:
    """A Pillow image of (h, w) or (h, w, 3) bytes; the former without a copy."""
    mode = "L" if pixels.ndim == 2 else "RGB"
    return Image.frombuffer(mode, (pixels.shape[1], pixels.shape[0]), pixels, "raw", mode, 0, 1)
