from __future__ import annotations

import errno
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodl.errors import JournalError
from autodl.journal import Journal, read_journal

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
events = st.lists(st.dictionaries(st.text(), scalars | st.lists(scalars), max_size=4), max_size=6)


def write(path: Path, *items: dict) -> None:
    with Journal(path) as journal:
        for item in items:
            journal.append(item)


@settings(max_examples=40, deadline=None)
@given(events)
def test_reads_what_was_written(tmp_path_factory, items) -> None:
    path = tmp_path_factory.mktemp("journal") / "j.jsonl"
    write(path, *items)
    assert read_journal(path) == items


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(1, 60))
def test_any_torn_end_loses_the_last_event_at_most_and_appending_goes_on(tmp_path_factory, cut) -> None:
    path = tmp_path_factory.mktemp("journal") / "j.jsonl"
    items = [{"event": "report", "trial": i, "text": "ä\n"} for i in range(3)]
    write(path, *items)
    data = path.read_bytes()
    kept = len(data) - min(cut, len(data))
    path.write_bytes(data[:kept])
    whole = data[:kept].count(b"\n")
    assert read_journal(path) == items[:whole]
    write(path, {"event": "later"})
    assert read_journal(path) == [*items[:whole], {"event": "later"}]


@pytest.mark.parametrize("rubbish", [b"\x00\x00\x00\n", b'{"event": "rep', b'{"event": "rep\n', b"[1]\n"])
def test_rubbish_at_the_end_is_cut_off(tmp_path: Path, rubbish: bytes) -> None:
    path = tmp_path / "j.jsonl"
    write(path, {"n": 1})
    path.write_bytes(path.read_bytes() + rubbish)
    assert read_journal(path) == [{"n": 1}]
    write(path, {"n": 2})
    assert read_journal(path) == [{"n": 1}, {"n": 2}]


def test_damage_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    path.write_bytes(b'{"n":1}\nrubbish\n{"n":2}\n')
    with pytest.raises(JournalError, match="line 2 of the journal"):
        read_journal(path)


def test_nan_and_infinities_are_strict_json_that_float_reads(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    write(path, {"metrics": {"a": math.nan, "b": [math.inf, -math.inf], "c": 1.0}})
    strict = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert math.isnan(float(strict["metrics"]["a"]))
    assert [float(v) for v in strict["metrics"]["b"]] == [math.inf, -math.inf]


def test_second_writer_is_refused_until_the_first_closes(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    with Journal(path):
        with pytest.raises(JournalError, match="in use"):
            Journal(path)
        code = f"from autodl.journal import Journal; Journal({str(path)!r})"
        root = Path(__file__).parents[1]
        other = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
        assert "JournalError" in other.stderr
    Journal(path).close()


class FullDisk:
    """A file on a disk with some bytes left."""

    def __init__(self, file, left: int) -> None:
        self._file, self.left = file, left

    def write(self, data: bytes) -> int:
        if self.left <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self._file.write(data[: self.left])
        self.left -= written
        return written

    def __getattr__(self, name: str):
        return getattr(self._file, name)


def test_full_disk_is_a_clear_error_and_leaves_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    journal = Journal(path)
    journal.append({"n": 1})
    disk = journal._file = FullDisk(journal._file, left=5)
    with pytest.raises(JournalError, match=r"No space left.*8 bytes before it are safe.*resume"):
        journal.append({"n": 2})
    assert path.read_bytes() == b'{"n":1}\n'
    disk.left = 1000  # somebody made room
    journal.append({"n": 3})
    journal.close()
    journal.close()
    assert read_journal(path) == [{"n": 1}, {"n": 3}]


def test_errors_for_paths_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot write"):
        Journal(tmp_path / "file" / "j.jsonl")
    with pytest.raises(JournalError, match="cannot read"):
        read_journal(tmp_path / "missing.jsonl")
