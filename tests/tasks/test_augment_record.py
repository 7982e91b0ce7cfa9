"""What a run keeps about its augmentation."""

from __future__ import annotations

import json

import pytest

from autodl.augment import Policy
from autodl.errors import JournalError
from autodl.tasks.augment_record import FILE, AugmentArm, AugmentRecord

POLICY = Policy([[("Rotate", 0.8, 0.5), ("Invert", 0.2, 0.0)], []], weights=[2.0, 1.0])
FULL = AugmentRecord(
    "auto",
    "fast_aa",
    "it won",
    (AugmentArm("fast_aa", 0.9, 0.3), AugmentArm("standard", 0.8, 0.4)),
    held_out=120,
    policy=POLICY,
    op_weights={"Rotate": 0.8, "Invert": 0.2},
    seconds=1.5,
)


@pytest.mark.parametrize("record", [FULL, AugmentRecord("crop", "crop"), AugmentRecord("own", None)])
def test_what_is_written_is_read(tmp_path, record):
    record.write(tmp_path)
    assert AugmentRecord.read(tmp_path) == record
    assert json.loads(json.dumps(record.to_json())) == record.to_json()


def test_a_run_without_a_record(tmp_path):
    assert AugmentRecord.read(tmp_path) is None


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", '{"version": 1}', '{"version": "1"}', None],
    ids=["", "{}", "[]", "1", "'1'", "op"],
)
def test_damage_is_said(tmp_path, text):
    if text is None:
        document = {"version": 1, **FULL.to_json()}
        document["policy"]["sub_policies"] = [[["Fold", 1.0, 1.0]]]
        text = json.dumps(document)
    (tmp_path / FILE).write_text(text)
    with pytest.raises(JournalError, match=r"augment\.json is damaged.*another path"):
        AugmentRecord.read(tmp_path)


def test_a_newer_record_asks_for_a_newer_autodl(tmp_path):
    (tmp_path / FILE).write_text(json.dumps({"version": 2, **FULL.to_json()}))
    with pytest.raises(JournalError, match=r"version 2.*upgrade"):
        AugmentRecord.read(tmp_path)
