"""The one form every input takes: a table of images, each with a name, a source and a label.

A table holds references (paths, members of an archive, rows of an array), never decoded pixels,
so that reading a folder of a million photos costs little memory.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from PIL import Image

from autodl.errors import DataError

Hasher: TypeAlias = Any
"""A `hashlib` object; its class is private to the standard library."""


@runtime_checkable
class LazySource(Protocol):
    """An image that is fetched when it is needed."""

    def load(self) -> Path | bytes | np.ndarray | Image.Image:
        """Fetch the image; called from several threads at once."""
        ...

    def key(self) -> bytes:
        """Bytes that change when the image does; for `ImageTable.fingerprint`."""
        ...


Source: TypeAlias = Path | bytes | np.ndarray | Image.Image | LazySource


@dataclass(frozen=True, slots=True, eq=False)
class ImageItem:
    """One image of a table.

    Args:
        name: what messages and reports call it: a relative path, or "row 7".
        source: where its pixels come from.
        label: its class as the user gave it; None if there is none.
        split: "train", "val", "test", or None where the data has no such division.
    """

    name: str
    source: Source
    label: object | None = None
    split: str | None = None


@dataclass(frozen=True, slots=True)
class Ignored:
    """A file that was seen and left out.

    Args:
        name: its path below the data's root.
        reason: why: "not an image", "archive inside the data", ...
    """

    name: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class ImageTable:
    """Images in a fixed order.

    Args:
        items: the images.
        origin: where they come from, for messages: a path, or "arrays".
        ignored: files that were seen and left out, with reasons.
        pixel_range: the (black, white) values that raw arrays were scaled by; None for encoded
            images. Give it to `read_images` again for test data, or the two are scaled apart.
    """

    items: tuple[ImageItem, ...]
    origin: str
    ignored: tuple[Ignored, ...] = ()
    pixel_range: tuple[float, float] | None = None

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        return f"ImageTable({len(self.items)} images from {self.origin})"

    @property
    def labels(self) -> list[object | None]:
        """The labels in the table's order, None where there is none."""
        return [item.label for item in self.items]

    @property
    def names(self) -> list[str]:
        """The names in the table's order."""
        return [item.name for item in self.items]

    @property
    def is_labelled(self) -> bool:
        """Whether any image has a label."""
        return any(item.label is not None for item in self.items)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that occur, sorted; empty where the data has none."""
        return tuple(sorted({item.split for item in self.items if item.split is not None}))

    def select(self, rows: Iterable[int]) -> ImageTable:
        """The table of these rows, in this order."""
        return replace(self, items=tuple(self.items[int(row)] for row in rows))

    def where_split(self, split: str) -> ImageTable:
        """The rows of one split.

        Raises:
            DataError: the data has no such split.
        """
        if split not in self.splits:
            have = ", ".join(self.splits) or "none"
            raise DataError(f"{self.origin} has no split {split!r}; splits there: {have}")
        return replace(self, items=tuple(item for item in self.items if item.split == split))

    def fingerprint(self) -> str:
        """A hash of names, labels and contents: 32 hexadecimal digits.

        A file counts by path, size and time of change, so that nothing is read; bytes and arrays
        count by content; a lazy data set of the user's own is different in every process.
        """
        digest = hashlib.blake2b(digest_size=16)
        for item in self.items:
            label = f"{type(item.label).__name__}:{item.label}"
            head = "\0".join((item.name, label, item.split or "", ""))
            digest.update(head.encode("utf-8", "surrogatepass"))
            _hash_source(digest, item.source)
        return digest.hexdigest()


def _hash_source(digest: Hasher, source: Source) -> None:
    if isinstance(source, Path):
        digest.update(os.fsencode(os.path.abspath(source)))
        try:
            stat = source.stat()
        except OSError:  # a missing file is reported by the audit, with its name
            return
        digest.update(f"{stat.st_size}:{stat.st_mtime_ns}".encode())
    elif isinstance(source, bytes):
        digest.update(source)
    elif isinstance(source, np.ndarray):
        digest.update(f"{source.dtype}{source.shape}".encode())
        digest.update(np.ascontiguousarray(source).data)
    elif isinstance(source, Image.Image):
        digest.update(f"{source.mode}{source.size}".encode())
        digest.update(source.tobytes())
    else:
        digest.update(source.key())


def shorten(name: str, limit: int = 80) -> str:
    """A name cut in the middle so that it fits a message."""
    if len(name) <= limit:
        return name
    half = (limit - 3) // 2
    return f"{name[:half]}...{name[-half:]}"


def name_some(names: Sequence[str], most: int = 5) -> str:
    """The first few names for a message: ``"a.jpg, b.jpg and 7 more"``."""
    text = ", ".join(shorten(name) for name in names[:most])
    return text if len(names) <= most else f"{text} and {len(names) - most} more"
