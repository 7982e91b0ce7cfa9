"""The one pass: what it reports, skips and keeps."""

from __future__ import annotations

import time

import numpy as np
import pytest

from autodl.data import probe_sizes, read_images
from autodl.data.scan import read_all
from autodl.data.table import ImageItem, ImageTable
from autodl.errors import BadImageError, EmptyDataError
from tests.data import made


@pytest.fixture
def mixed(tmp_path):
    """Good, odd and bad files in two class folders."""
    root = made.class_folders(tmp_path / "data")
    (root / "cat" / "empty.jpg").touch()
    (root / "cat" / "letter.jpg").write_text("Dear reader, I am no picture at all.")
    whole = made.encode(made.picture(64, 64), "JPEG")
    (root / "dog" / "half.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "dog" / "wrong.jpg").write_bytes(made.encode(made.picture(seed=9)))
    (root / "dog" / "copy.png").write_bytes((root / "dog" / "0.png").read_bytes())
    (root / "dog" / "traitor.png").write_bytes((root / "cat" / "1.png").read_bytes())
    (root / "dog" / "notes.txt").write_text("hello")
    return root


def test_each_bad_file_is_named_with_its_reason(mixed):
    report = read_all(read_images(mixed), size=8, num_threads=2)
    assert report.names("zero_byte") == ["cat/empty.jpg"]
    assert report.names("unreadable") == ["cat/letter.jpg"]
    assert report.names("truncated") == ["dog/half.jpg"]
    assert report.names("wrong_extension") == ["dog/wrong.jpg"]
    assert report.names("ignored") == ["dog/notes.txt"]
    assert {issue.name for issue in report.skipped} == {"cat/empty.jpg", "cat/letter.jpg", "dog/half.jpg"}


def test_kept_rows_are_those_that_decode(mixed):
    table = read_images(mixed)
    report = read_all(table, size=8)
    kept = [table.names[row] for row in report.kept]
    assert report.total == len(table) == 12
    assert kept == [name for name in table.names if name not in {i.name for i in report.skipped}]
    assert report.class_counts == {"cat": 3, "dog": 6}


def test_copies_share_a_group_and_conflicts_are_told(mixed):
    table = read_images(mixed)
    report = read_all(table, size=8)
    group = {table.names[row]: number for row, number in zip(report.kept, report.groups, strict=True)}
    assert group["dog/0.png"] == group["dog/copy.png"]
    assert group["cat/1.png"] == group["dog/traitor.png"]
    assert len(set(group.values())) == len(group) - 2
    conflict = next(issue for issue in report.issues if issue.kind == "conflicting_label")
    assert conflict.name == "dog/traitor.png"
    assert "cat/1.png" in conflict.detail and "'cat'" in conflict.detail
    assert len(report.names("duplicate")) == 1


def test_raise_names_the_first_bad_image(mixed):
    with pytest.raises(BadImageError, match=r"cat/empty\.jpg in .*zero_byte"):
        read_all(read_images(mixed), size=8, on_bad_image="raise")


def test_nothing_usable_is_an_error_that_shows_one_reason(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.jpg").touch()
    with pytest.raises(EmptyDataError, match=r"none of the 2 images.*a/x\.jpg, is zero_byte"):
        read_all(read_images(tmp_path), size=8)


def test_a_missing_file_of_a_table_is_reported(tmp_path):
    there = made.write(tmp_path / "a.png")
    report = read_all(read_images([there, tmp_path / "gone.png"]), size=8)
    assert report.names("missing") == [str(tmp_path / "gone.png")]


def test_pixels_go_to_their_rows(mixed):
    table = read_images(mixed)
    out = np.zeros((len(table), 8, 8, 3), np.uint8)
    report = read_all(table, size=8, out=out, num_threads=3)
    skipped = sorted(set(range(len(table))) - set(report.kept.tolist()))
    assert not out[skipped].any()
    assert out[report.kept].reshape(len(report.kept), -1).any(axis=1).all()


def test_a_deadline_ends_the_pass_and_keeps_what_was_read():
    class Slow:
        def load(self):
            time.sleep(0.02)
            return np.zeros((4, 4), np.uint8)

        def key(self):
            return b""

    labels = ["a"] * 100 + ["b"] * 100
    table = ImageTable(tuple(ImageItem(str(i), Slow(), v) for i, v in enumerate(labels)), "test")
    start = time.monotonic()
    report = read_all(table, size=4, num_threads=4, deadline=start + 0.3)
    assert time.monotonic() - start < 1.0
    assert 0 < len(report.kept) < 200
    assert report.counts["not_read"] == 200 - len(report.kept)
    assert min(report.class_counts.values()) > 0 and len(report.class_counts) == 2


def test_a_deadline_in_the_past_is_an_error_that_says_so():
    table = read_images(np.zeros((3, 5, 5), np.uint8))
    with pytest.raises(EmptyDataError, match="time limit"):
        read_all(table, size=4, deadline=time.monotonic() - 1)


def test_the_report_does_not_depend_on_threads(mixed):
    table = read_images(mixed)
    one, four = (read_all(table, size=8, num_threads=n) for n in (1, 4))
    assert one.to_json() == four.to_json()


def test_sizes_are_height_and_width_of_readable_images(tmp_path):
    made.write(tmp_path / "a" / "1.png")
    (tmp_path / "a" / "2.png").touch()
    assert probe_sizes(read_images(tmp_path)).tolist() == [[12, 16]]


def test_sizes_of_a_sample_are_spread_over_the_table():
    images = [made.picture(10 + row, 8) for row in range(50)]
    sizes = probe_sizes(read_images(images), limit=5)
    assert sizes[0, 0] == 10 and sizes[-1, 0] == 59 and len(sizes) == 5
