"""Class folders on disk."""

from __future__ import annotations

import os
from pathlib import Path

from autodl.data.formats import HEAD_BYTES, has_image_suffix, looks_like_image
from autodl.data.layout import Entry, is_hidden, printable, table_of_tree, wants_sniffing, why_not_image
from autodl.data.table import Ignored, ImageTable
from autodl.errors import DataError


def read_folder(path: Path, *, labelled: bool | None = None) -> ImageTable:
    """The images below a folder, which is only read; for labels and splits see `layout`.

    Links to folders are followed, each folder once: a loop ends there and is reported.

    Args:
        path: an existing folder.
        labelled: False: no labels, every image counts.

    Raises:
        EmptyDataError: there is no image.
        DataError: the folder may not be read.
    """
    walk = _Walk()
    try:
        walk.visit(path, ())
    except PermissionError as error:
        raise DataError(f"no permission to read the folder {path}") from error
    return table_of_tree(walk.entries, str(path), walk.ignored, labelled=labelled)


class _Walk:
    """Collects files depth first; an own stack, for trees deeper than Python's."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.ignored: list[Ignored] = []
        self._seen: set[tuple[int, int]] = set()
        self._waiting: list[tuple[str, tuple[str, ...]]] = []

    def visit(self, root: Path, parts: tuple[str, ...]) -> None:
        self._list(os.fspath(root), parts)
        while self._waiting:
            folder, parts = self._waiting.pop()
            try:
                self._list(folder, parts)
            except OSError as error:
                reason = f"folder cannot be read: {error.strerror or error}"
                self.ignored.append(Ignored("/".join(parts), reason))

    def _list(self, folder: str, parts: tuple[str, ...]) -> None:
        stat = os.stat(folder)
        if (stat.st_dev, stat.st_ino) in self._seen:
            self.ignored.append(Ignored("/".join(parts), "link to a folder that was read already"))
            return
        self._seen.add((stat.st_dev, stat.st_ino))
        with os.scandir(folder) as listing:
            found = sorted(listing, key=lambda entry: entry.name)
        links: list[tuple[str, tuple[str, ...]]] = []
        for entry in found:
            if is_hidden(entry.name):
                continue
            below = (*parts, printable(entry.name))
            if _is_folder(entry):
                # Real folders come before links, so that a loop is cut at the link.
                (links if entry.is_symlink() else self._waiting).append((entry.path, below))
            else:
                self._add_file(entry, below)
        self._waiting[:0] = links

    def _add_file(self, entry: os.DirEntry[str], parts: tuple[str, ...]) -> None:
        name = "/".join(parts)
        try:
            regular = entry.is_file()
        except OSError:  # a link to itself
            regular = False
        if not regular and not (entry.is_symlink() and has_image_suffix(entry.name)):
            self.ignored.append(Ignored(name, "not a regular file"))
        elif has_image_suffix(entry.name) or (wants_sniffing(entry.name) and _sniff(entry.path)):
            self.entries.append(Entry(parts, Path(entry.path)))  # a broken link: "missing" in the audit
        else:
            self.ignored.append(Ignored(name, why_not_image(entry.name)))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _sniff(path: str) -> bool:
    try:
        with open(path, "rb") as stream:
            return looks_like_image(stream.read(HEAD_BYTES))
    except OSError:
        return False
