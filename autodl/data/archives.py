"""Zip and tar archives, read in place: nothing is ever unpacked to disk."""

from __future__ import annotations

import os
import stat
import tarfile
import threading
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autodl.data.formats import HEAD_BYTES, has_image_suffix, looks_like_image
from autodl.data.layout import Entry, is_hidden, printable, table_of_tree, wants_sniffing, why_not_image
from autodl.data.opening import UnreadableImageError
from autodl.data.table import Ignored, ImageTable, Source
from autodl.errors import DataError

MAX_MEMBER_BYTES = 1 << 30
"""A member that unpacks to more (1 GiB) is taken for a bomb."""
MAX_MEMORY_BYTES = 4 << 30
"""How much of a compressed tar is held in memory, which it must be: it has no random access."""


def read_archive(path: Path, *, labelled: bool | None = None) -> ImageTable:
    """The images in a zip or tar file; for labels and splits see `layout`.

    Members are read from the archive when they are needed. A compressed tar can only be read from
    front to back, so its images are kept in memory, still encoded.

    Args:
        path: an existing archive.
        labelled: False: no labels, every image counts.

    Raises:
        EmptyDataError: there is no image.
        DataError: the archive is damaged, encrypted, or too large for memory.
    """
    try:
        reader = _read_zip if zipfile.is_zipfile(path) else _read_tar
        entries, ignored = reader(path)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, NotImplementedError) as error:
        raise DataError(f"the archive {path} is damaged or of an unknown kind: {error}") from error
    except PermissionError as error:
        raise DataError(f"no permission to read the archive {path}") from error
    except OSError as error:  # bz2 and gzip report damage so
        raise DataError(f"the archive {path} cannot be read: {error}") from error
    return table_of_tree(entries, str(path), ignored, labelled=labelled)


class ZipArchive:
    """A zip file that is opened when first needed, shared among threads, and pickles closed.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._file: zipfile.ZipFile | None = None

    def open(self) -> zipfile.ZipFile:
        """The open archive."""
        with self._lock:
            if self._file is None:
                self._file = zipfile.ZipFile(self.path)
            return self._file

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]  # builds the lock anew


@dataclass(frozen=True, slots=True, eq=False)
class ZipMember:
    """One file in a zip archive.

    Args:
        archive: the archive.
        member: the name in it.
        checksum: CRC-32 of the content, as the archive's directory has it.
    """

    archive: ZipArchive
    member: str
    checksum: int

    def load(self) -> bytes:
        """Unpack the member into memory.

        Raises:
            BadImageError: it is damaged.
        """
        try:
            return self.archive.open().read(self.member)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise UnreadableImageError("unreadable", f"damaged in the archive: {error}") from error

    def key(self) -> bytes:
        """Archive, name and checksum."""
        return f"{os.path.abspath(self.archive.path)}:{self.member}:{self.checksum}".encode(
            "utf-8", "surrogatepass"
        )


@dataclass(frozen=True, slots=True)
class FileSlice:
    """Bytes inside a larger file: a member of an uncompressed tar.

    Args:
        path: the file.
        start: offset, bytes.
        length: bytes.
        changed_ns: the file's time of change, nanoseconds.
    """

    path: Path
    start: int
    length: int
    changed_ns: int

    def load(self) -> bytes:
        """Read the bytes; fewer if the file ends too early."""
        with self.path.open("rb") as stream:
            stream.seek(self.start)
            return stream.read(self.length)

    def key(self) -> bytes:
        """File, place and time of change."""
        return f"{os.path.abspath(self.path)}:{self.start}:{self.length}:{self.changed_ns}".encode(
            "utf-8", "surrogatepass"
        )


def _parts_of(member: str) -> tuple[tuple[str, ...], str | None]:
    """The member's path, and why it is left out if it is ("" for no word about it)."""
    raw = member.replace("\\", "/")
    parts = tuple(printable(part) for part in raw.split("/") if part not in ("", "."))
    if raw.startswith("/") or ".." in parts:
        return parts, "path that leads out of the archive"
    if not parts or any(is_hidden(part) for part in parts):
        return parts, ""
    return parts, None


def _read_zip(path: Path) -> tuple[list[Entry], list[Ignored]]:
    archive = ZipArchive(path)
    entries: list[Entry] = []
    ignored: list[Ignored] = []
    for info in archive.open().infolist():
        parts, reason = _parts_of(info.filename)
        if info.is_dir() or reason == "":
            continue
        mode = info.external_attr >> 16
        if reason is None and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            reason = "not a regular file"
        if reason is None and info.flag_bits & 1:
            raise DataError(f"the archive {path} is encrypted; unpack it first")
        if reason is None and info.file_size > MAX_MEMBER_BYTES:
            reason = "unpacks to more than 1 GiB"
        member = ZipMember(archive, info.filename, info.CRC)
        if reason is None and not _is_image_in_zip(archive, info):
            reason = why_not_image(parts[-1])
        if reason is not None:
            ignored.append(Ignored("/".join(parts), reason))
        else:
            entries.append(Entry(parts, member))
    return entries, ignored


def _is_image_in_zip(archive: ZipArchive, info: zipfile.ZipInfo) -> bool:
    if has_image_suffix(info.filename) or not wants_sniffing(info.filename):
        return has_image_suffix(info.filename)
    try:
        with archive.open().open(info) as stream:
            return looks_like_image(stream.read(HEAD_BYTES))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError):
        return False


def _read_tar(path: Path) -> tuple[list[Entry], list[Ignored]]:
    entries: list[Entry] = []
    ignored: list[Ignored] = []
    changed_ns = path.stat().st_mtime_ns
    held = 0
    is_plain = _is_uncompressed_tar(path)
    with tarfile.open(path, "r:" if is_plain else "r|*") as archive:
        for info in archive:
            parts, reason = _parts_of(info.name)
            if info.isdir() or reason == "":
                continue
            if reason is None and not info.isreg():
                reason = "not a regular file"
            if reason is None and info.size > MAX_MEMBER_BYTES:
                reason = "unpacks to more than 1 GiB"
            if reason is None and not has_image_suffix(parts[-1]):
                reason = why_not_image(parts[-1])
            if reason is not None:
                ignored.append(Ignored("/".join(parts), reason))
                continue
            source: Source = FileSlice(path, info.offset_data, info.size, changed_ns)
            if not is_plain:
                stream = archive.extractfile(info)  # a stream in memory; nothing goes to disk
                source = b"" if stream is None else stream.read()
                held += len(source)
                _check_memory(path, held)
            entries.append(Entry(parts, source))
    return entries, ignored


def _is_uncompressed_tar(path: Path) -> bool:
    try:
        with tarfile.open(path, "r:"):
            return True
    except tarfile.TarError:
        return False


def _check_memory(path: Path, held: int) -> None:
    if held > MAX_MEMORY_BYTES:
        raise DataError(
            f"the images in the compressed archive {path} take more than "
            f"{MAX_MEMORY_BYTES >> 30} GiB; unpack it, or use a zip or an uncompressed tar"
        )
