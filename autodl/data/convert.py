"""From any of Pillow's modes, and from arrays, to 8-bit grey or RGB."""

from __future__ import annotations

import numpy as np
from PIL import Image

from autodl.data.opening import UnreadableImageError
from autodl.data.scaling import guess_range, to_uint8
from autodl.errors import DataError


def to_grey_or_rgb(image: Image.Image, notes: list[str]) -> Image.Image:
    """Convert to mode L or RGB, and append to the notes what that took."""
    mode = image.mode
    if mode in ("L", "RGB"):
        return image
    if mode in ("I", "F") or mode.startswith("I;16"):
        if "16_bit" not in notes:
            notes.append("16_bit")
        values = np.asarray(image)
        return Image.fromarray(to_uint8(values, guess_range(values, small_scales=False)))
    if mode == "CMYK":
        notes.append("cmyk")
        return image.convert("RGB")
    if mode in ("P", "PA"):
        notes.append("palette")
    if mode in ("PA", "LA", "La", "RGBA", "RGBa") or (mode == "P" and "transparency" in image.info):
        return _on_white(image.convert("RGBA"), notes)
    return image.convert("L" if mode == "1" else "RGB")


def _on_white(image: Image.Image, notes: list[str]) -> Image.Image:
    alpha = image.getchannel("A")
    if alpha.getextrema()[0] == 255:  # opaque everywhere
        return image.convert("RGB")
    notes.append("alpha")
    canvas = Image.new("RGB", image.size, (255, 255, 255))
    canvas.paste(image, mask=alpha)
    return canvas


def from_array(array: np.ndarray) -> Image.Image:
    """An (h, w), (h, w, c) or (c, h, w) array as an L or RGB image; c is 1, 3 or 4.

    Raises:
        BadImageError: the array is no image, or holds NaN.
    """
    if array.ndim == 3 and array.shape[2] not in (1, 3, 4) and array.shape[0] in (1, 3, 4):
        array = array.transpose(1, 2, 0)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.size == 0 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        raise UnreadableImageError("unreadable", f"an array of shape {array.shape} is not an image")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise UnreadableImageError("unreadable", "the array holds NaN or infinite values")
    try:
        values = to_uint8(array, guess_range(array))
    except DataError as error:
        raise UnreadableImageError("unreadable", str(error)) from error
    image = Image.fromarray(np.ascontiguousarray(values))
    return _on_white(image, []) if image.mode == "RGBA" else image
