"""The report: counts, words for people, JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

from autodl.data import AuditReport, ImageIssue
from autodl.data.audit import CONVERTED, EXPLAINED, group_duplicates
from autodl.errors import DataError

REPORT = AuditReport(
    "photos",
    5,
    np.array([0, 2, 4]),
    np.array([0, 1, 0]),
    (
        ImageIssue(1, "b.jpg", "zero_byte", "skipped", "the file is empty"),
        ImageIssue(3, "d.jpg", "truncated", "skipped"),
        ImageIssue(4, "e.jpg", "duplicate", "kept", "same as a.jpg"),
        ImageIssue(-1, "x.txt", "ignored", "ignored", "not an image"),
    ),
    {"cat": 2, "dog": 1},
)


def test_the_summary_says_how_many_which_and_why():
    text = REPORT.summary()
    assert "3 of 5 images in photos can be used" in text
    assert "2 classes with 1 to 2 images" in text
    assert "1 skipped, empty file [zero_byte]: b.jpg" in text
    assert "1 other files ignored: not an image (1)" in text


def test_json_round_trip():
    copy = AuditReport.from_json(json.loads(json.dumps(REPORT.to_json())))
    assert copy.to_json() == REPORT.to_json()
    assert copy.kept.dtype == copy.groups.dtype == np.int64
    assert copy.issues == REPORT.issues


@pytest.mark.parametrize("content", [{}, {"origin": 1}, {**REPORT.to_json(), "issues": [[1]]}])
def test_json_that_is_no_report(content):
    with pytest.raises(DataError, match="not an audit report"):
        AuditReport.from_json(content)


def test_every_kind_of_conversion_is_explained():
    assert set(EXPLAINED) >= CONVERTED


def test_groups_are_numbered_by_first_appearance():
    kept = np.array([1, 2, 4, 5])
    digests = [None, b"x", b"y", None, b"x", b"z"]
    groups, issues = group_duplicates(kept, digests, list("aabbca"), list("uvwxyz"))
    assert groups.tolist() == [0, 1, 0, 2]
    assert [(issue.name, issue.kind) for issue in issues] == [("y", "conflicting_label")]
