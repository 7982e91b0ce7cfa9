"""Every image decoded once, into a memory-mapped uint8 array that all trials share.

The pass that fills the cache is also the audit: it reads each file once and reports on it.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from autodl.data.audit import AuditReport
from autodl.data.scan import OnBadImage, read_all
from autodl.data.table import ImageTable
from autodl.errors import BadImageError, DataError, DataNotFoundError, EmptyDataError, OptionError

Resize: TypeAlias = Literal["short_side", "exact"]

VERSION = 1
"""Of the files written here; another version's cache is built anew."""
_PIXELS, _FACTS = "pixels.npy", "cache.json"


class PixelCache:
    """The decoded images of a table: a read-only memory map that pickles as its path.

    Args:
        path: the folder `build_cache` wrote.
        pixels: (n, size, size, 3) uint8.
    """

    def __init__(self, path: Path, pixels: np.ndarray) -> None:
        self.path, self.pixels = path, pixels

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> PixelCache:
        """Map a cache into memory.

        Raises:
            DataNotFoundError: there is no cache at the path.
            DataError: the file there is damaged.
        """
        folder = Path(path)
        file = folder / _PIXELS
        try:
            pixels = np.load(file, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError as error:
            raise DataNotFoundError(f"no pixel cache at {folder}") from error
        except (ValueError, OSError, EOFError) as error:
            raise DataError(f"the pixel cache {file} is damaged ({error}); delete it") from error
        if pixels.ndim != 4 or pixels.dtype != np.uint8 or pixels.shape[3] != 3:
            raise DataError(f"{file} is no pixel cache: {pixels.dtype} of shape {pixels.shape}; delete it")
        return cls(folder, pixels)

    @staticmethod
    def write(path: str | os.PathLike[str], pixels: np.ndarray) -> None:
        """Write a cache of pixels that are decoded already, for `open`.

        Args:
            path: a folder that is there.
            pixels: (n, size, size, 3) uint8.
        """
        np.save(Path(path) / _PIXELS, pixels, allow_pickle=False)

    def __len__(self) -> int:
        return len(self.pixels)

    def __repr__(self) -> str:
        return f"PixelCache({len(self)} images of {self.pixels.shape[1]} px in {self.path})"

    def __reduce__(self) -> tuple[Callable[[Path], PixelCache], tuple[Path]]:
        return PixelCache.open, (self.path,)


def build_cache(  # one call for the whole pass; all but two are options
    table: ImageTable,
    path: str | os.PathLike[str],
    *,
    size: int,
    resize: Resize = "short_side",
    num_threads: int | None = None,
    on_bad_image: OnBadImage = "skip",
    deadline: float | None = None,
) -> tuple[PixelCache, AuditReport]:
    """Decode every image once, write the cache, and report what was odd.

    A cache of the same data and size that lies at the path already is used as it is.

    Args:
        table: the images.
        path: folder to write to; made if needed. Never a place inside the user's data.
        size: side of the cached squares, pixels.
        resize: "short_side": the shorter side becomes `size`, then the central square is cut out.
            "exact": the same, and images that are (size, size) already stay as they are bit for
            bit (so they do under "short_side"); nothing is ever squashed.
        num_threads: decoding threads; None: one a core.
        on_bad_image: "skip" leaves unreadable images out and reports them; "raise" stops.
        deadline: `time.monotonic()` seconds; images not reached by then are skipped as
            "not_read". With a deadline the order is mixed, so that all classes get their share.

    Returns:
        The cache, whose row i is the table's row ``report.kept[i]``, and the report.

    Raises:
        EmptyDataError: no image can be used.
        BadImageError: an image is bad and `on_bad_image` is "raise".
        DataError: the disk is full (the message says how much is needed) or cannot be written.
    """
    _check_options(size, resize, on_bad_image)
    folder = Path(path)
    facts = {"version": VERSION, "size": size, "fingerprint": table.fingerprint()}
    found = _reuse(folder, facts)
    if found is not None and not (on_bad_image == "raise" and found[1].skipped):
        return found
    if not len(table):
        raise EmptyDataError(f"there is no image in {table.origin}")
    with _allocate(folder, (len(table), size, size, 3)) as file:
        pixels = np.lib.format.open_memmap(file, mode="r+")
        report = read_all(
            table,
            size=size,
            out=pixels,
            num_threads=num_threads,
            on_bad_image=on_bad_image,
            deadline=deadline,
        )
        _compact(pixels, report.kept)
        pixels.flush()
        del pixels
        _shorten_file(file, (len(report.kept), size, size, 3))
        os.replace(file, folder / _PIXELS)
    if "not_read" not in report.counts:  # a cut-off pass must not be taken for the whole later
        _write_json(folder / _FACTS, {**facts, "report": report.to_json()})
    return PixelCache.open(folder), report


def _check_options(size: int, resize: str, on_bad_image: str) -> None:
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise OptionError(f"size must be a whole number of pixels >= 1, got {size!r}")
    if resize not in ("short_side", "exact"):
        raise OptionError(f'resize must be "short_side" or "exact", got {resize!r}')
    if on_bad_image not in ("skip", "raise"):
        raise OptionError(f'on_bad_image must be "skip" or "raise", got {on_bad_image!r}')


def _reuse(folder: Path, facts: dict[str, Any]) -> tuple[PixelCache, AuditReport] | None:
    try:
        content = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        if any(content[key] != value for key, value in facts.items()):
            return None
        report = AuditReport.from_json(content["report"])
        cache = PixelCache.open(folder)
    except (OSError, ValueError, KeyError, TypeError):  # no cache, or a damaged one: build it
        return None
    size = facts["size"]
    return (cache, report) if cache.pixels.shape == (len(report.kept), size, size, 3) else None


@contextmanager
def _allocate(folder: Path, shape: tuple[int, ...]) -> Iterator[Path]:
    """A temporary .npy file of this shape, which is gone afterwards unless it was renamed.

    The space is reserved at once: writing through a map to a full disk would kill the process.
    """
    needed = int(np.prod(shape))
    file = folder / f".{_PIXELS}.{os.getpid()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(folder).free < needed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=shape)
        if hasattr(os, "posix_fallocate"):
            with file.open("r+b") as stream:
                os.posix_fallocate(stream.fileno(), 0, file.stat().st_size)
        (folder / _FACTS).unlink(missing_ok=True)  # of an older cache, which is about to go
        yield file
    except OSError as error:
        if isinstance(error, (BadImageError, DataError)):
            raise
        raise DataError(_describe_write_error(error, folder, needed)) from error
    finally:
        with suppress(OSError):
            file.unlink(missing_ok=True)


def _describe_write_error(error: OSError, folder: Path, needed: int) -> str:
    text = f"cannot write the pixel cache to {folder}: {error.strerror or error}"
    if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
        with suppress(OSError):
            text += f"; {shutil.disk_usage(folder).free / 1e6:,.0f} MB are free"
        text += f", {needed / 1e6:,.0f} MB are needed. Free some space, give another path or a smaller size"
    return text


def _compact(pixels: np.ndarray, kept: np.ndarray) -> None:
    """Move the kept rows to the front, in place."""
    if len(kept) == len(pixels):
        return
    for position, row in enumerate(kept.tolist()):
        if position != row:
            pixels[position] = pixels[row]


def _shorten_file(file: Path, shape: tuple[int, ...]) -> None:
    """Cut a .npy file down to its first rows and put it on disk for good."""
    with file.open("r+b") as stream:
        np.lib.format.read_magic(stream)
        np.lib.format.read_array_header_1_0(stream)
        start = stream.tell()
        header = repr({"descr": "|u1", "fortran_order": False, "shape": shape}).encode("ascii")
        # 10 bytes of magic, version and length go first; the header ends with a newline.
        stream.seek(10)
        stream.write(header.ljust(start - 11) + b"\n")
        stream.truncate(start + int(np.prod(shape)))
        stream.flush()
        os.fsync(stream.fileno())


def _write_json(file: Path, content: dict[str, Any]) -> None:
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as stream:
            json.dump(content, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, file)
    except OSError:  # only saves a later run some time; the cache itself is whole
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
