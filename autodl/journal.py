"""The journal: an append-only file of JSON lines, one event a line; a run's only truth.

A process that is killed may leave a torn last line; readers drop it and the next writer cuts it
off. Lines are handed to the operating system at once (no buffer in this process), so a killed
driver loses nothing; they are forced to the disk (fsync) when the journal is closed, not for each
event, which would cost milliseconds a report.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from autodl.errors import JournalError

if sys.platform != "win32":
    import fcntl

JOURNAL_VERSION = 1


class Journal:
    """Appends events to a journal file; one writer at a time.

    Args:
        path: the file; created with its folder if missing. A torn last line is cut off.

    Raises:
        JournalError: another process (or another `Journal` of this one) writes to it, the file is
            damaged, or the folder cannot be written.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "journal.jsonl"
        >>> with Journal(path) as journal:
        ...     journal.append({"event": "start", "trial": 0})
        >>> read_journal(path)
        [{'event': 'start', 'trial': 0}]
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Opened for reading and writing, not "a": an append file cannot be cut back.
            self._file: BinaryIO = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666), "r+b", 0)
        except OSError as error:
            raise JournalError(f"cannot write the journal {self.path}: {error}") from error
        try:
            self._lock()
            self._end = self._cut_torn_line()
        except BaseException:
            self._file.close()
            raise

    def append(self, event: Mapping[str, Any]) -> None:
        """Write one event.

        Raises:
            JournalError: the disk is full or the file is gone; what was written before stays
                whole (a part of the line that got through is cut off again).
        """
        line = encode_event(event)
        try:
            written = self._file.write(line)
            while written < len(line):  # a disk that fills up takes a part of the line first
                written += self._file.write(line[written:])
        except (OSError, ValueError) as error:
            self._cut_back()
            raise JournalError(
                f"cannot write to the journal {self.path} ({error}); {self._end} bytes before it are safe: "
                "free some space, then resume the run"
            ) from error
        self._end += len(line)

    def close(self) -> None:
        """Force the events to the disk and free the lock; harmless when called twice."""
        if self._file.closed:
            return
        try:
            os.fsync(self._file.fileno())
        except OSError:
            pass  # a full or vanished disk was reported by `append` already
        finally:
            self._file.close()

    def _lock(self) -> None:
        if sys.platform == "win32":
            return  # no flock there: the lock is left out
        try:
            fcntl.flock(self._file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise JournalError(
                f"the journal {self.path} is in use by another process; wait for that run, or end it"
            ) from error
        except OSError:
            pass  # some network file systems offer no locks: better unlocked than unusable

    def _cut_torn_line(self) -> int:
        """Keep the whole lines only; returns their length in bytes, the file positioned there."""
        data = self.path.read_bytes()
        end = _whole_length(data)
        if end < len(data):
            os.ftruncate(self._file.fileno(), end)
        self._file.seek(end)
        return end

    def _cut_back(self) -> None:
        try:
            os.ftruncate(self._file.fileno(), self._end)
            self._file.seek(self._end)
        except (OSError, ValueError):
            pass  # the reader drops a torn last line anyway

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def encode_event(event: Mapping[str, Any]) -> bytes:
    """One event as a line of strict JSON; NaN and infinities become the strings ``float`` reads back."""
    try:
        text = json.dumps(event, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(_without_nan(event), allow_nan=False, separators=(",", ":"))
    return text.encode() + b"\n"


def read_journal(path: str | Path) -> list[dict[str, Any]]:
    """All whole events of a journal, oldest first; a torn last line is left out.

    Raises:
        JournalError: no such file, or a line other than the last is damaged.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise JournalError(f"cannot read the journal {path}: {error}") from error
    events = []
    for number, line in enumerate(data[: _whole_length(data)].splitlines(), start=1):
        event = _decode(line)
        if event is None:
            raise JournalError(f"line {number} of the journal {path} is damaged: {line[:80]!r}")
        events.append(event)
    return events


def _whole_length(data: bytes) -> int:
    """How many leading bytes are whole lines: without a last line that is torn or not JSON."""
    end = data.rfind(b"\n") + 1
    if end == 0:
        return 0
    start = data.rfind(b"\n", 0, end - 1) + 1
    return end if _decode(data[start:end]) is not None else start


def _decode(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def _without_nan(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return value
