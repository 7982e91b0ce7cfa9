"""What a tree of files says about labels and splits; the same for folders and archives.

The rule: common outer folders are passed over; folders called train, val and test (in the usual
spellings) are splits if nothing else stands beside them; below, the first folder is the class, and
images deeper down belong to it too. A tree without folders has no labels.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

from autodl.data.formats import (
    ARCHIVE_SUFFIXES,
    OTHER_ARCHIVE_SUFFIXES,
    TABLE_SUFFIXES,
    has_image_suffix,
    suffix_of,
)
from autodl.data.table import Ignored, ImageItem, ImageTable, Source, name_some
from autodl.errors import EmptyDataError

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
"""Folder names, lower-case, that mean a split."""

_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini", "__macosx", "$recycle.bin", "@eadir"})


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that is an image, with the folders it is in.

    Args:
        parts: the path below the root, the file's name last.
        source: its content.
        split: found so far.
    """

    parts: tuple[str, ...]
    source: Source
    split: str | None = None

    @property
    def name(self) -> str:
        """The path below the root."""
        return "/".join(self.parts)


def printable(name: str) -> str:
    """A file name that can be shown and stored as text, whatever bytes it is made of."""
    return os.fsencode(name).decode("utf-8", "replace")


def is_hidden(name: str) -> bool:
    """Whether a file or folder is the system's business, passed over without a word."""
    return name.startswith(".") or name.lower() in _SYSTEM_FILES


def why_not_image(name: str) -> str:
    """The reason to give for a file that is left out."""
    if name.lower().endswith(ARCHIVE_SUFFIXES + OTHER_ARCHIVE_SUFFIXES):
        return "archive inside the data"
    if name.lower().endswith(TABLE_SUFFIXES):
        return "table"
    return "not an image"


def table_of_tree(
    entries: Sequence[Entry], origin: str, ignored: Sequence[Ignored], *, labelled: bool | None = None
) -> ImageTable:
    """Read labels and splits off the paths.

    Args:
        entries: the images, in any order.
        origin: for messages.
        ignored: what was left out already.
        labelled: False: no labels, every image counts. Otherwise images that lie beside the class
            folders are left out, and reported.

    Raises:
        EmptyDataError: there is no image.
    """
    if not entries:
        raise EmptyDataError(_describe_empty(origin, ignored))
    entries = sorted(entries, key=lambda entry: entry.parts)
    if labelled is False:
        unlabelled = tuple(ImageItem(entry.name, entry.source) for entry in entries)
        return ImageTable(unlabelled, origin, tuple(ignored))
    rows = _find_splits([(entry, entry.parts) for entry in entries])
    with_classes = {entry.split for entry, parts in rows if len(parts) > 1}
    items: list[ImageItem] = []
    left_out = list(ignored)
    for entry, parts in rows:
        in_folder = len(parts) > 1
        if entry.split in with_classes and not in_folder:
            left_out.append(Ignored(entry.name, "image outside every class folder"))
            continue
        label = unicodedata.normalize("NFC", parts[0]) if in_folder else None
        items.append(ImageItem(entry.name, entry.source, label, entry.split))
    return ImageTable(tuple(items), origin, tuple(left_out))


_Row = tuple[Entry, tuple[str, ...]]


def _find_splits(rows: list[_Row]) -> list[_Row]:
    """Strip outer folders and split folders; the remaining parts are class, ..., file."""
    rows = _strip_common(rows)
    tops = {parts[0] for _, parts in rows if len(parts) > 1}
    strays = any(len(parts) == 1 for _, parts in rows)
    is_split = bool(tops) and not strays and all(top.lower() in SPLIT_NAMES for top in tops)
    has_class_below = any(len(parts) > 2 for _, parts in rows)
    if not is_split or not (has_class_below or len(tops) > 1):
        return rows
    split_rows: list[_Row] = []
    for top in sorted(tops):
        below = [(entry, parts[1:]) for entry, parts in rows if parts[0] == top]
        split = SPLIT_NAMES[top.lower()]
        split_rows += [(replace(entry, split=split), parts) for entry, parts in below]
    return _strip_common(split_rows)


def _strip_common(rows: list[_Row]) -> list[_Row]:
    """Pass over folders that hold everything, down to those with a choice or with images."""
    while all(len(parts) > 2 for _, parts in rows):
        tops = {parts[0] for _, parts in rows}
        if len(tops) > 1 or next(iter(tops)).lower() in SPLIT_NAMES:
            break
        rows = [(entry, parts[1:]) for entry, parts in rows]
    return rows


def _describe_empty(origin: str, ignored: Sequence[Ignored]) -> str:
    text = f"there is no image in {origin}"
    if not ignored:
        return f"{text}: it is empty"
    named = name_some([file.name for file in ignored])
    text = f"{text}, only {len(ignored)} other files: {named}"
    for file in ignored:
        if file.reason in ("table", "archive inside the data"):
            return f"{text}. To read {file.name}, give its own path"
    return text


def wants_sniffing(name: str) -> bool:
    """Whether only a file's first bytes can tell if it is an image."""
    return not has_image_suffix(name) and suffix_of(name) not in _NEVER_IMAGES


_NEVER_IMAGES = frozenset(
    {".txt", ".csv", ".tsv", ".json", ".xml", ".md", ".py", ".html", ".yaml", ".yml", ".mat", ".npy"}
    | {".npz", ".parquet", ".pdf", ".log", ".zip", ".tar", ".gz", ".pkl", ".svg", ".ipynb", ".ini"}
)
