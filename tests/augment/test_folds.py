from __future__ import annotations

import numpy as np
import pytest

from autodl.augment.folds import Split, make_splits, shuffle_splits
from autodl.errors import OptionError

LABELS = np.repeat([0, 1, 2], [50, 20, 4])


def test_no_image_of_d_a_is_in_d_m_and_classes_keep_their_share() -> None:
    splits = shuffle_splits(LABELS, 5, search_share=0.4, seed=3)
    assert len(splits) == 5
    for split in splits:
        assert not set(split.train_rows) & set(split.search_rows)
        assert sorted([*split.train_rows, *split.search_rows]) == list(range(len(LABELS)))
        assert np.bincount(LABELS[split.search_rows]).tolist() == [20, 8, 2]


def test_folds_are_drawn_anew_and_repeatable() -> None:
    splits = shuffle_splits(LABELS, 3, seed=1)
    assert splits == shuffle_splits(LABELS, 3, seed=1)
    assert splits[0] != splits[1]
    assert splits != shuffle_splits(LABELS, 3, seed=2)
    assert splits[:2] == shuffle_splits(LABELS, 2, seed=1)  # more folds do not change the first


def test_every_class_goes_both_ways_however_small_the_share() -> None:
    for share in (0.01, 0.99):
        (split,) = shuffle_splits(LABELS, 1, search_share=share)
        for rows in (split.train_rows, split.search_rows):
            assert set(LABELS[rows]) == {0, 1, 2}


def test_an_image_in_both_parts_is_refused() -> None:
    with pytest.raises(OptionError, match="2 rows"):
        Split(np.array([0, 1, 2]), np.array([1, 2, 5]))


@pytest.mark.parametrize("rows", [[], [-1, 2], [0.5]])
def test_rows_must_be_row_numbers(rows: list[float]) -> None:
    with pytest.raises(OptionError, match="search_rows"):
        Split(np.array([9]), np.array(rows))


@pytest.mark.parametrize(
    ("folds", "share", "words"),
    [
        (0, 0.4, "folds"),
        (2, 1.0, "search_share"),
        ([], 0.4, "sequence"),
        ([(1, 2)], 0.4, "Split"),
        ([Split(np.arange(60), np.array([99]))], 0.4, "row 99"),
        ([Split(np.arange(10), np.array([60]))], 0.4, "one class"),
    ],
)
def test_bad_folds_are_refused(folds: object, share: float, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        make_splits(folds, LABELS, search_share=share, seed=0)  # type: ignore[arg-type]
