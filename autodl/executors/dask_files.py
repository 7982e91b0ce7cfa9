"""A trial's files as one message, for workers that do not see the run's directory."""

from __future__ import annotations

import io
import tarfile
import tempfile
from pathlib import Path


def pack(folder: Path) -> bytes | None:
    """The files of a folder as a tar archive; None if it has none."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()] if folder.is_dir() else []
    if not files:
        return None
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in files:
            archive.add(path, arcname=str(path.relative_to(folder)))
    return buffer.getvalue()


def unpack(packed: bytes, folder: Path) -> None:
    """Make a folder hold the packed files and no others; each is replaced as a whole."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(place, filter="data")
        came = {path.relative_to(place) for path in Path(place).rglob("*") if path.is_file()}
        for path in sorted(came):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (Path(place) / path).replace(folder / path)
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        if path.relative_to(folder) not in came:
            path.unlink()


def signature(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Changes when a file of the folder does."""
    found = [(path, path.stat()) for path in sorted(folder.rglob("*")) if path.is_file()]
    return tuple((str(path), stat.st_mtime_ns, stat.st_size) for path, stat in found)
