"""Any image, however odd, to RGB pixels, or a `BadImageError` that says why not.

Pillow does the decoding (it releases the interpreter lock, so threads help). What is converted on
the way is noted, for the audit: nothing is changed in silence.
"""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import dataclass
from typing import IO

import numpy as np
from PIL import Image

from autodl.data.convert import from_array, to_grey_or_rgb
from autodl.data.formats import is_wrong_suffix
from autodl.data.opening import (
    UnreadableImageError,
    classify,
    identify,
    ignoring_pillow_warnings,
    open_stream,
    resolve,
)
from autodl.data.table import Source
from autodl.errors import BadImageError

HUGE_PIXELS = 1 << 26
"""Images above this many pixels (67 million) are shrunk while they are read, and noted."""
MAX_PIXELS = 1 << 29
"""Images that would decode to more pixels than this (537 million, 1.6 GB) are refused: a
decompression bomb, or no photo."""
TINY_SIDE = 8
"""Images with a shorter side below this are noted as tiny."""
EXTREME_ASPECT = 4.0
"""Images longer than this many times their width are noted: the central square shows little."""

_ORIENTATION_TAG = 0x0112
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Two threads with a huge image each could exhaust the memory that one image fits into.
_ONE_HUGE_IMAGE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded image.

    Args:
        pixels: (height, width, 3) uint8, upright.
        notes: what was odd or converted ("cmyk", "16_bit", "palette", "animated", "alpha",
            "exif_rotated", "huge", "tiny", "extreme_aspect", "wrong_extension").
        size: (height, width) of the original, upright, pixels.
    """

    pixels: np.ndarray
    notes: tuple[str, ...]
    size: tuple[int, int]


def decode(source: Source, *, name: str = "", square: int | None = None) -> Decoded:
    """Decode one image to upright RGB.

    Grey, palette, CMYK, 16-bit and transparent images (on white) are converted; of an animation
    the first frame counts; EXIF rotation is applied.

    Args:
        source: a path, encoded bytes, an array ((h, w), (h, w, c) or (c, h, w)), a PIL image, or
            a lazy source of one of these.
        name: the file's name where the source is bytes, to notice a wrong suffix.
        square: pixels; shrink or enlarge so that the shorter side has this length and cut out the
            central square. None keeps the size (but see `HUGE_PIXELS`).

    Raises:
        BadImageError: the image cannot be decoded; the message says why.
    """
    with ignoring_pillow_warnings():
        return _decode(source, name, square)


def _decode(source: Source, name: str, square: int | None) -> Decoded:
    try:
        source, name = resolve(source, name)
        if isinstance(source, np.ndarray):
            return _finish(from_array(source), [], square)
        if isinstance(source, Image.Image):
            return _decode_opened(source.copy(), [], square)
        with open_stream(source) as stream:
            return _decode_stream(stream, name, square)
    except BadImageError:
        raise
    except MemoryError as error:
        raise UnreadableImageError("huge", "does not fit into memory") from error
    except Exception as error:
        # Pillow's readers raise almost anything (struct.error, IndexError, zlib.error, ...) on
        # damaged files, and so do data sets of the user's own; all mean: this image is unusable.
        raise classify(error) from error


def image_size(source: Source) -> tuple[int, int]:
    """(height, width) of an image, upright, from its header alone.

    Raises:
        BadImageError: the header cannot be read.
    """
    try:
        source, _ = resolve(source, "")
        if isinstance(source, np.ndarray):
            width, height = from_array(source).size
        elif isinstance(source, Image.Image):
            width, height = source.size
        else:
            with open_stream(source) as stream:
                image = identify(stream)
                width, height = image.size
                if _orientation(image) >= 5:
                    width, height = height, width
    except BadImageError:
        raise
    except Exception as error:  # as in `decode`
        raise classify(error) from error
    return height, width


def _decode_stream(stream: IO[bytes], name: str, square: int | None) -> Decoded:
    image = identify(stream)
    notes = []
    if is_wrong_suffix(name, image.format):
        notes.append("wrong_extension")
    if image.format != "MPO" and getattr(image, "is_animated", False):  # an MPO is a stereo photo
        notes.append("animated")
        image.seek(0)
    return _decode_opened(image, notes, square)


def _decode_opened(image: Image.Image, notes: list[str], square: int | None) -> Decoded:
    full = image.size
    if full[0] * full[1] > HUGE_PIXELS:
        notes.append("huge")
    _draft(image, square)
    pixels = image.size[0] * image.size[1]
    if _has_16_bit_tiles(image):
        notes.append("16_bit")
    if pixels > MAX_PIXELS:
        detail = f"{full[0]} x {full[1]} pixels, more than {MAX_PIXELS} to decode; shrink it first"
        raise UnreadableImageError("huge", detail)
    with _ONE_HUGE_IMAGE_AT_A_TIME if pixels > HUGE_PIXELS // 4 else nullcontext():
        image.load()
        orientation = _orientation(image)
        image = to_grey_or_rgb(image, notes)
        if pixels > HUGE_PIXELS and square is None:
            image = image.reduce(int(np.ceil(np.sqrt(pixels / HUGE_PIXELS))))
        decoded = _finish(image, notes, square, orientation=orientation, full=full)
    return decoded


def _draft(image: Image.Image, square: int | None) -> None:
    """Let the JPEG decoder shrink by 2, 4 or 8, to no less than twice the size wanted.

    Twice, as in `Image.thumbnail`, so that the final resampling still decides the sharpness.
    """
    width, height = image.size
    if square is not None:
        side = 2 * square
        if width * height > HUGE_PIXELS * 16:
            side = square
        image.draft(None, (side, side))
    elif width * height > HUGE_PIXELS:
        factor = 2
        while width * height > HUGE_PIXELS * factor**2 and factor < 8:
            factor *= 2
        image.draft(None, (max(1, width // factor), max(1, height // factor)))


def _has_16_bit_tiles(image: Image.Image) -> bool:
    """Whether Pillow reduces 16 bits a channel to 8, which the mode does not tell."""
    tiles = getattr(image, "tile", ())  # gone once the image is loaded
    return any(";16" in str(tile[3]) for tile in tiles)


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # damaged EXIF raises anything; it says nothing then, and the pixels are fine
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _finish(
    image: Image.Image,
    notes: list[str],
    square: int | None,
    *,
    orientation: int = 1,
    full: tuple[int, int] | None = None,
) -> Decoded:
    width, height = full or image.size
    if min(width, height) < TINY_SIDE:
        notes.append("tiny")
    if max(width, height) > EXTREME_ASPECT * min(width, height):
        notes.append("extreme_aspect")
    if square is not None:
        image = _central_square(image, square)
    if orientation in _TRANSPOSE:  # after cutting out the square: fewer pixels to turn
        notes.append("exif_rotated")
        image = image.transpose(_TRANSPOSE[orientation])
    if orientation >= 5:
        width, height = height, width
    if image.mode != "RGB":
        image = image.convert("RGB")
    return Decoded(np.asarray(image), tuple(notes), (height, width))


def _central_square(image: Image.Image, size: int) -> Image.Image:
    width, height = image.size
    if (width, height) == (size, size):
        return image
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    box = (left, top, left + side, top + side)
    return image.resize((size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)
