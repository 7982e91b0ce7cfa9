"""Any image, however odd, to RGB pixels, or a `BadImageError` that says why not.

Pillow does the decoding (it releases the interpreter lock, so threads help). What is converted on
the way is noted, for the audit: nothing is changed in silence.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from autodl.data.formats import FORMATS, is_wrong_suffix
from autodl.data.scaling import guess_range, to_uint8
from autodl.data.table import Source
from autodl.errors import BadImageError, DataError

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


class UnreadableImageError(BadImageError):
    """An image cannot be decoded.

    Args:
        kind: the audit's word for it: "missing", "zero_byte", "truncated", "unreadable", "huge".
        detail: what exactly.
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(kind, detail)
        self.kind, self.detail = kind, detail

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"


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
    try:
        source, name = _resolve(source, name)
        if isinstance(source, np.ndarray):
            return _finish(_from_array(source), [], square)
        if isinstance(source, Image.Image):
            return _decode_opened(source.copy(), [], square)
        with _stream(source) as stream:
            return _decode_stream(stream, name, square)
    except BadImageError:
        raise
    except MemoryError as error:
        raise UnreadableImageError("huge", "does not fit into memory") from error
    except Exception as error:
        # Pillow's readers raise almost anything (struct.error, IndexError, zlib.error, ...) on
        # damaged files, and so do data sets of the user's own; all mean: this image is unusable.
        raise _classify(error) from error


def image_size(source: Source) -> tuple[int, int]:
    """(height, width) of an image, upright, from its header alone.

    Raises:
        BadImageError: the header cannot be read.
    """
    try:
        source, _ = _resolve(source, "")
        if isinstance(source, np.ndarray):
            width, height = _from_array(source).size
        elif isinstance(source, Image.Image):
            width, height = source.size
        else:
            with _stream(source) as stream:
                image = _identify(stream)
                width, height = image.size
                if _orientation(image) >= 5:
                    width, height = height, width
    except BadImageError:
        raise
    except Exception as error:  # as in `decode`
        raise _classify(error) from error
    return height, width


def _resolve(source: Source, name: str) -> tuple[Path | bytes | np.ndarray | Image.Image, str]:
    if not isinstance(source, (Path, bytes, np.ndarray, Image.Image)):
        source = source.load()
    if isinstance(source, Path):
        name = source.name
    return source, name


def _classify(error: Exception) -> UnreadableImageError:
    text = str(error) or type(error).__name__
    if isinstance(error, FileNotFoundError):
        return UnreadableImageError("missing", "no such file")
    if isinstance(error, PermissionError):
        return UnreadableImageError("unreadable", "no permission to read it")
    if isinstance(error, EOFError) or "truncated" in text.lower():
        return UnreadableImageError("truncated", text)
    return UnreadableImageError("unreadable", text)


@contextmanager
def _stream(source: Path | bytes) -> Iterator[IO[bytes]]:
    if isinstance(source, bytes):
        if not source:
            raise UnreadableImageError("zero_byte", "the file is empty")
        yield BytesIO(source)
        return
    if source.exists() and not source.is_file():  # opening a named pipe would wait for ever
        raise UnreadableImageError("unreadable", "not a regular file")
    with source.open("rb") as stream:
        if source.stat().st_size == 0:
            raise UnreadableImageError("zero_byte", "the file is empty")
        yield stream


def _identify(stream: IO[bytes]) -> Image.Image:
    """`Image.open` for the formats in `FORMATS`, without its check of the size.

    That check raises or warns according to a global of Pillow's; here the size is judged later,
    when it is known how much of the image must be decoded.
    """
    prefix = stream.read(16)
    for load_plugins in (Image.preinit, Image.init):
        load_plugins()
        for name in FORMATS:
            if name not in Image.OPEN:
                continue
            factory, accept = Image.OPEN[name]
            accepted = accept(prefix) if accept is not None else True
            if isinstance(accepted, str) or not accepted:
                continue
            stream.seek(0)
            try:
                return factory(stream, "")
            except (SyntaxError, IndexError, TypeError, struct.error) as error:
                raise UnreadableImageError("unreadable", f"damaged {name} header: {error}") from error
    raise UnreadableImageError("unreadable", _what_instead(prefix))


def _what_instead(prefix: bytes) -> str:
    if prefix[4:8] == b"ftyp":
        return "a HEIC or AVIF file that Pillow cannot read here; convert it to JPEG or PNG"
    if prefix.lstrip()[:1] in (b"<", b"{") or prefix.isascii():
        return "not an image: it looks like text"
    return "not an image of a known format"


def _decode_stream(stream: IO[bytes], name: str, square: int | None) -> Decoded:
    image = _identify(stream)
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
        image = _to_l_or_rgb(image, notes)
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


def _to_l_or_rgb(image: Image.Image, notes: list[str]) -> Image.Image:
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


def _from_array(array: np.ndarray) -> Image.Image:
    """An (h, w), (h, w, c) or (c, h, w) array as an L or RGB image; c is 1, 3 or 4."""
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
