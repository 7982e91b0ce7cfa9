"""From a source to an opened image of Pillow's, or an error that says why not."""

from __future__ import annotations

import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from autodl.data.formats import FORMATS
from autodl.data.table import Source
from autodl.errors import BadImageError


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


def resolve(source: Source, name: str) -> tuple[Path | bytes | np.ndarray | Image.Image, str]:
    """Fetch a lazy source; a path also tells its name."""
    if not isinstance(source, (Path, bytes, np.ndarray, Image.Image)):
        source = source.load()
    if isinstance(source, Path):
        name = source.name
    return source, name


def classify(error: Exception) -> UnreadableImageError:
    """The audit's word for whatever a reader raised."""
    text = str(error) or type(error).__name__
    if isinstance(error, FileNotFoundError):
        return UnreadableImageError("missing", "no such file")
    if isinstance(error, PermissionError):
        return UnreadableImageError("unreadable", "no permission to read it")
    if isinstance(error, EOFError) or "truncated" in text.lower():
        return UnreadableImageError("truncated", text)
    return UnreadableImageError("unreadable", text)


@contextmanager
def ignoring_pillow_warnings() -> Iterator[None]:
    """Keep quiet about odd metadata: what matters of it is in the notes.

    Filters of warnings belong to the whole process, so only the main thread sets them; a pool of
    threads is to be wrapped as a whole.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


@contextmanager
def open_stream(source: Path | bytes) -> Iterator[IO[bytes]]:
    """The encoded bytes as a stream.

    Raises:
        BadImageError: the file is empty or no regular file.
        OSError: it cannot be opened.
    """
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


def identify(stream: IO[bytes]) -> Image.Image:
    """`Image.open` for the formats in `FORMATS`, without its check of the size.

    That check raises or warns according to a global of Pillow's; here the size is judged later,
    when it is known how much of the image must be decoded.

    Raises:
        BadImageError: the content is of no known format, or its header is damaged.
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
    if prefix.isascii() and not set(prefix) & set(range(9)):
        return "not an image: it looks like text"
    return "not an image of a known format"
