"""What trials share: who is held out, what is kept together, and what is written down."""

from __future__ import annotations

import numpy as np
import pytest

from autodl.data import read_images
from autodl.errors import EmptyDataError, JournalError, LabelError
from autodl.tasks.options import ValidationOptions
from autodl.tasks.run_data import NEVER, Intake, RunData, prepare, write_part
from tests.tasks import fakes, made


def intake(**changes):
    values = {"cache_size": 8, "on_bad_image": "skip", "num_threads": 1, "deadline": None}
    return Intake(**{**values, "cross_validate": False, **changes})


def table(count=20, classes=("blue", "red"), twins=0):
    """Pictures of each colour; the first `twins` of each are there twice."""
    images = [made.patch(c, i % (count - twins)) for c in classes for i in range(count)]
    return read_images(images_and_labels(images, [c for c in classes for _ in range(count)]))


def images_and_labels(images, labels):
    return (np.stack(images), labels)


def make(tmp_path, train, tuning=None, *, seed=0, validation=None, **changes):
    options = validation or ValidationOptions()
    return prepare(tmp_path / "data", train, tuning, intake(**changes), options, seed, {"input_size": 8})


def test_a_fifth_is_held_out_of_each_class(tmp_path):
    data = make(tmp_path, table())
    held_out = data.validation_rows()
    assert data.num_folds == 1
    assert np.bincount(data.labels[held_out]).tolist() == [4, 4]
    assert set(data.folds) == {NEVER, 0}
    np.testing.assert_array_equal(np.sort(np.r_[held_out, data.training_rows()]), np.arange(40))


def test_the_fraction_and_the_seed_decide(tmp_path):
    half = ValidationOptions(fraction=0.5)
    one, two = (make(tmp_path / n, table(), validation=half, seed=s) for n, s in (("a", 1), ("b", 1)))
    other = make(tmp_path / "c", table(), validation=half, seed=2)
    np.testing.assert_array_equal(one.folds, two.folds)
    assert not np.array_equal(one.folds, other.folds)
    assert len(one.validation_rows()) == 20


def test_folds_hold_every_row_out_once(tmp_path):
    data = make(tmp_path, table(), cross_validate=True)
    assert data.num_folds == 5
    for fold in range(5):
        assert np.bincount(data.labels[data.validation_rows(fold)]).tolist() == [4, 4]
        assert not set(data.validation_rows(fold)) & set(data.training_rows(fold))


def test_no_more_folds_than_the_smallest_class_has_images(tmp_path):
    images = [made.patch(c, i) for c, n in (("blue", 20), ("red", 3)) for i in range(n)]
    train = read_images((np.stack(images), ["blue"] * 20 + ["red"] * 3))
    data = make(tmp_path, train, cross_validate=True)
    assert data.num_folds == 3
    assert all((data.labels[data.validation_rows(f)] == 1).sum() == 1 for f in range(3))


@pytest.mark.parametrize("cross_validate", [False, True])
def test_duplicates_stay_on_one_side(tmp_path, cross_validate):
    """Ten pictures of each class are there twice: no copy of a held-out one may be learnt from."""
    data = make(tmp_path, table(twins=10), cross_validate=cross_validate)
    kept = [bytes(p) for p in data.pixels]
    assert len(set(kept)) == 20
    for fold in range(data.num_folds):
        assert not {kept[i] for i in data.validation_rows(fold)} & {kept[i] for i in data.training_rows(fold)}


def test_tuning_data_is_held_out_and_nothing_else(tmp_path):
    data = make(tmp_path, table(8), table(4), cross_validate=True)
    np.testing.assert_array_equal(data.folds, [NEVER] * 16 + [0] * 8)
    assert data.class_map.values == ("blue", "red")


def test_classes_are_those_of_the_training_images(tmp_path):
    with pytest.raises(LabelError, match=r"in tuning_data, 4 of 8 images .*'green'"):
        make(tmp_path, table(8), table(4, ("blue", "green")))
    assert not RunData.exists(tmp_path / "data")


def test_copies_that_cannot_be_parted_leave_nothing_to_validate_on(tmp_path):
    images = np.stack([made.patch("blue", 0)] * 4 + [made.patch("red", 0)] * 4)
    with pytest.raises(EmptyDataError, match="no image is left to validate on"):
        make(tmp_path, read_images((images, ["b"] * 4 + ["r"] * 4)))


def test_opens_what_was_prepared(tmp_path):
    data = make(tmp_path, table(), cross_validate=True)
    again = RunData.open(tmp_path / "data")
    for name in ("pixels", "labels", "folds"):
        np.testing.assert_array_equal(getattr(again, name), getattr(data, name))
    assert (again.class_map, again.names, again.facts) == (data.class_map, data.names, data.facts)
    assert again.audit.to_json() == data.audit.to_json()
    assert isinstance(again.pixels, np.memmap)


def test_incomplete_data_is_no_data(tmp_path):
    make(tmp_path, table())
    assert RunData.exists(tmp_path / "data")
    for name in ("pixels.npy", "rows.npz", "data.json"):
        (tmp_path / "data" / name).unlink()
        with pytest.raises(JournalError, match="no complete data"):
            RunData.open(tmp_path / "data")
    assert not RunData.exists(tmp_path / "data")


def test_files_that_do_not_belong_together_are_found(tmp_path):
    make(tmp_path, table())
    np.savez(tmp_path / "data/rows.npz", labels=np.zeros(3, int), folds=np.zeros(3, int))
    with pytest.raises(JournalError, match="not as many"):
        RunData.open(tmp_path / "data")


def test_a_part_is_data_of_its_own(tmp_path):
    whole = fakes.colour_data(tmp_path / "whole")
    rows = np.sort(np.concatenate([whole.training_rows()[:5], whole.validation_rows()[:3]]))
    write_part(whole, rows, tmp_path / "part")
    part = RunData.open(tmp_path / "part")
    np.testing.assert_array_equal(part.pixels, whole.pixels[rows])
    np.testing.assert_array_equal(part.labels, whole.labels[rows])
    assert part.names == tuple(whole.names[row] for row in rows)
    assert (len(part.training_rows()), len(part.validation_rows())) == (5, 3)
    assert (part.class_map, part.facts) == (whole.class_map, whole.facts)
