"""The record of a search, and its front."""

from __future__ import annotations

import dataclasses
import json

import pytest

from autodl.errors import JournalError
from autodl.tasks.arch_record import FILE, ArchRecord, ArchStep

POINTS = [(0.5, 10.0), (0.7, 20.0), (0.6, 20.0), (0.7, 30.0), (0.9, 40.0), (None, 1.0), (0.8, None)]
STEPS = tuple(ArchStep(float(i), m, c, {"op": i}) for i, (m, c) in enumerate(POINTS))
RECORD = ArchRecord("darts", "DARTS()", {"op": 1}, 7, 0.7, 20.0, "macs", None, 123, 4.5, STEPS)


def test_front_holds_what_nothing_beats():
    assert [step.arch["op"] for step in RECORD.front] == [0, 1, 4]


def test_record_goes_through_its_file(tmp_path):
    assert ArchRecord.read(tmp_path) is None
    RECORD.write(tmp_path)
    assert ArchRecord.read(tmp_path) == RECORD
    assert "steps" not in RECORD.summary() and json.dumps(RECORD.summary())
    assert "123 parameters, macs 20" in RECORD.words()
    assert "macs" not in dataclasses.replace(RECORD, cost=None).words()


@pytest.mark.parametrize("text", ["{", '{"version": 1}', '{"version": 99}', "[]"])
def test_damaged_files_are_named(tmp_path, text):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(JournalError, match=FILE):
        ArchRecord.read(tmp_path)
