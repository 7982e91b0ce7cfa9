"""`Dataset`: look, check, divide."""

from __future__ import annotations

import numpy as np
import pytest

from autodl.data import Dataset
from autodl.data.dataset import encoded_groups
from autodl.errors import LabelError
from tests.data import made


@pytest.fixture
def data(tmp_path):
    root = made.class_folders(tmp_path, count=10)
    (root / "dog" / "copy.png").write_bytes((root / "dog" / "0.png").read_bytes())
    return Dataset(root)


def test_what_it_holds(data):
    assert len(data) == 21
    assert data.classes == ("cat", "dog")
    assert repr(data).startswith("Dataset(21 images, 2 classes (cat, dog), from ")


def test_split_is_stratified_seeded_and_keeps_copies_together(data):
    for seed in range(10):
        first, second = data.split(0.2, seed)
        assert second.table.labels.count("cat") == second.table.labels.count("dog") == 2
        sides = ["dog/0.png" in second.table.names, "dog/copy.png" in second.table.names]
        assert sides[0] == sides[1]
        assert sorted(first.table.names + second.table.names) == sorted(data.table.names)
    assert data.split(0.2, 1)[1].table.names == data.split(0.2, 1)[1].table.names


def test_only_files_that_may_be_copies_are_read(data, monkeypatch):
    read = []
    real = type(data.table.items[0].source).open

    def spy(path, *args, **kwargs):
        read.append(path.name)
        return real(path, *args, **kwargs)

    monkeypatch.setattr(type(data.table.items[0].source), "open", spy)
    groups = encoded_groups(data.table)
    names = data.table.names
    assert groups[names.index("dog/0.png")] == groups[names.index("dog/copy.png")]
    assert len(np.unique(groups)) == 20
    lengths = [item.source.stat().st_size for item in data.table.items]
    assert len(read) == sum(lengths.count(length) > 1 for length in lengths) < 21


def test_without_labels_there_is_no_split(tmp_path):
    made.write(tmp_path / "a.png")
    data = Dataset(tmp_path)
    assert data.classes == () and "no labels" in repr(data)
    with pytest.raises(LabelError, match="no labels to divide by"):
        data.split()


def test_audit_writes_nothing(data, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    report = data.audit(num_threads=1)
    assert report.names("duplicate") == ["dog/copy.png"]
    assert sorted(tmp_path.rglob("*")) == before


def test_show_takes_all_classes_in_turn_and_survives_bad_images(tmp_path):
    root = made.class_folders(tmp_path, count=1)
    (root / "cat" / "0.png").write_bytes(b"")
    made.write(root / "$x_{1}" / "1.png")  # no formula
    figure = Dataset(root).show(6)
    figure.canvas.draw()
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["$x_{1}", "cat", "dog"]
