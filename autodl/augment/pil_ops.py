"""The ops image by image, for large images on a CPU without numba.

There the loops of Pillow beat torch in what moves pixels and counts levels, and torch beats
Pillow in the rest; each op takes the faster one. Pillow shears and rotates over a rounding of its
own, so that fewer than one pixel in a thousand comes from a neighbour of where the others take it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor

from autodl.augment.layout import dense, is_interleaved, like
from autodl.augment.op_table import OP_NAMES
from autodl.augment.torch_colour import COLOUR_OPS
from autodl.augment.torch_ops import cut_out


def _affine(image: Image.Image, *coefficients: float) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, coefficients, Image.Resampling.NEAREST)


_PIL_OPS: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    "ShearX": lambda image, m: _affine(image, 1, m, 0, 0, 1, 0),
    "ShearY": lambda image, m: _affine(image, 1, 0, 0, m, 1, 0),
    "Rotate": lambda image, m: image.rotate(m, Image.Resampling.NEAREST),
    "Equalize": lambda image, m: ImageOps.equalize(image),
}
_PIL_OPS_INTERLEAVED: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    **_PIL_OPS,
    "AutoContrast": lambda image, m: ImageOps.autocontrast(image),
    "Contrast": lambda image, m: ImageEnhance.Contrast(image).enhance(m),
    "Color": lambda image, m: ImageEnhance.Color(image).enhance(m),
}
"""torch is slow in what treats the channels apart when they lie side by side; Pillow is not."""


def pil_ops(images: Tensor, ops: Tensor, magnitudes: Tensor, places: Tensor | None) -> Tensor:
    """`autodl.augment.apply_ops` on checked arguments."""
    device, images = images.device, dense(images).cpu()
    result = like(images)
    magnitudes = magnitudes.to("cpu", torch.float32)
    table = _PIL_OPS_INTERLEAVED if images.shape[1] == 3 and is_interleaved(images) else _PIL_OPS
    numbers, values = ops.tolist(), magnitudes.tolist()
    for i, (op, value) in enumerate(zip(numbers, values, strict=True)):
        name, old, one = OP_NAMES[op], images[i : i + 1], slice(i, i + 1)
        if name == "Equalize" and table is _PIL_OPS:  # plane by plane: nothing to join and part again
            for plane, out in zip(images[i], result[i], strict=True):
                out.copy_(_from_pil(ImageOps.equalize(_to_pil(plane[None])))[0])
        elif name in table:
            result[i] = _from_pil(table[name](_to_pil(images[i]), value))
        elif name in COLOUR_OPS:
            result[one] = COLOUR_OPS[name](old, magnitudes[one])
        elif name in ("TranslateX", "TranslateY"):
            _translate(images[i], result[i], int(value), 2 if name == "TranslateX" else 1)
        elif name == "Cutout":
            result[one] = cut_out(old, magnitudes[one], None if places is None else places[one].cpu())
        else:
            result[one] = old
    return result.to(device)


def _translate(image: Tensor, out: Tensor, pixels: int, axis: int) -> None:
    length = image.shape[axis]
    kept = max(0, length - abs(pixels))
    filled = length - kept
    if pixels >= 0:
        out.narrow(axis, filled, kept).copy_(image.narrow(axis, 0, kept))
        out.narrow(axis, 0, filled).zero_()
    else:
        out.narrow(axis, 0, kept).copy_(image.narrow(axis, filled, kept))
        out.narrow(axis, kept, filled).zero_()


def _to_pil(image: Tensor) -> Image.Image:
    if image.shape[0] == 1:
        return Image.fromarray(image[0].numpy())
    if image[0].is_contiguous():  # planes: Pillow joins them faster than NumPy transposes
        return Image.merge("RGB", [Image.fromarray(plane.numpy()) for plane in image])
    return Image.fromarray(image.permute(1, 2, 0).numpy())


def _from_pil(image: Image.Image) -> Tensor:
    pixels: Any = np.array(image)
    tensor = torch.from_numpy(pixels)
    return tensor[None] if tensor.ndim == 2 else tensor.permute(2, 0, 1)
