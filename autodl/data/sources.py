"""Sources that are fetched when needed, and the way from a table's cell to a source."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from autodl.data.opening import UnreadableImageError
from autodl.data.scaling import to_uint8
from autodl.data.table import LazySource, Source


@dataclass(frozen=True, slots=True, eq=False)
class ArrayImage:
    """One image of a larger array, with the range that was found for all of it.

    Args:
        array: (h, w), (h, w, c) or (c, h, w) pixels.
        pixel_range: the values of black and white.
    """

    array: np.ndarray
    pixel_range: tuple[float, float]

    def load(self) -> np.ndarray:
        """The pixels as uint8.

        Raises:
            BadImageError: some pixels are NaN or infinite.
        """
        if self.array.dtype.kind == "f" and not np.isfinite(self.array).all():
            raise UnreadableImageError("unreadable", "the array holds NaN or infinite values")
        return to_uint8(self.array, self.pixel_range)

    def key(self) -> bytes:
        """The pixels, their type and the range."""
        head = f"{self.array.dtype}{self.array.shape}{self.pixel_range}"
        return head.encode() + self.array.tobytes()


@dataclass(frozen=True, slots=True)
class Unavailable:
    """An image of which it is known already that it cannot be had.

    Args:
        kind: the audit's word.
        detail: why.
    """

    kind: str
    detail: str

    def load(self) -> bytes:
        """Fail.

        Raises:
            BadImageError: always.
        """
        raise UnreadableImageError(self.kind, self.detail)

    def key(self) -> bytes:
        """The reason."""
        return f"{self.kind}:{self.detail}".encode()


class SharedDataset:
    """A data set of the user's own, read by one thread at a time.

    Neither torch data sets nor open HDF5 files are safe to share among threads in general.

    Args:
        dataset: anything with ``dataset[i]``.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        # Contents cannot be hashed without reading everything twice, so no two are ever equal.
        self.token = os.urandom(16)
        self._lock = threading.Lock()

    def read(self, index: int) -> Any:
        """Item `index`, whatever it is."""
        with self._lock:
            return self.dataset[index]

    def __getstate__(self) -> dict[str, Any]:
        return {"dataset": self.dataset, "token": self.token}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()


@dataclass(frozen=True, slots=True, eq=False)
class IndexedImage:
    """One image of a data set that is read lazily.

    Args:
        shared: the data set.
        index: which item.
        part: where in the item the image is: a position (torch) or a column (Hugging Face).
        pixel_range: for items that are arrays or tensors, the values of black and white.
    """

    shared: SharedDataset = field(repr=False)
    index: int
    part: int | str | None = 0
    pixel_range: tuple[float, float] | None = None

    def load(self) -> Path | bytes | np.ndarray | Image.Image:
        """Read the item and take the image out."""
        item = self.shared.read(self.index)
        value = item if self.part is None else item[self.part]
        source = as_source(value)
        if isinstance(source, np.ndarray) and self.pixel_range is not None:
            source = ArrayImage(source, self.pixel_range)
        if isinstance(source, (Path, bytes, np.ndarray, Image.Image)):
            return source
        return source.load()

    def key(self) -> bytes:
        """The data set's token and the position."""
        return self.shared.token + f"{self.index}:{self.part}".encode()


def as_array(value: Any) -> np.ndarray | None:
    """An array or torch tensor as a numpy array; None for anything else."""
    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, "detach") and hasattr(value, "numpy"):  # torch, without importing it
        value = value.detach().cpu()
        return np.asarray(value.float().numpy() if str(value.dtype) == "torch.bfloat16" else value.numpy())
    return None


def as_source(value: Any, base: Path | None = None) -> Source:
    """The source that a cell of a table or an entry of a list stands for.

    Args:
        value: a path, encoded bytes, an array or tensor, a PIL image, or Hugging Face's
            ``{"bytes": ..., "path": ...}``.
        base: the folder that relative paths start from; None: the current one.
    """
    if isinstance(value, Image.Image):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, (str, os.PathLike)):
        return _path_source(os.fspath(value), base)
    if isinstance(value, Mapping):
        content = value.get("bytes")
        return as_source(content if content is not None else value.get("path"), base)
    array = as_array(value)
    if array is not None:
        return array
    if isinstance(value, LazySource):
        return value
    if value is None or (isinstance(value, float) and np.isnan(value)) or type(value).__name__ == "NAType":
        return Unavailable("missing", "no image given")
    return Unavailable("unreadable", f"a {type(value).__name__} is not an image")


def _path_source(text: str, base: Path | None) -> Source:
    text = text.strip()
    if not text:
        return Unavailable("missing", "no image given")
    if "\0" in text:
        return Unavailable("missing", "the path holds a zero character")
    if "://" in text and not text.startswith("file://"):
        return Unavailable("missing", f"{text} is not on this machine; download it first")
    text = text.removeprefix("file://")
    path = Path(text) if base is None else base / text
    if "\\" in text and os.sep == "/" and not path.exists():  # a table written on Windows
        path = Path(text.replace("\\", "/")) if base is None else base / text.replace("\\", "/")
    return path
