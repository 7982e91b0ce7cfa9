"""Splits: stratified, seeded, whole groups on one side."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodl.data import stratified_folds, stratified_split
from autodl.errors import DataError, OptionError

labels = st.lists(st.integers(0, 4), min_size=2, max_size=80).map(np.array)
seeds = st.integers(0, 5)


@given(labels, st.floats(0.05, 0.95), seeds, st.data())
def test_no_row_is_lost_and_no_group_is_parted(y, fraction, seed, data):
    groups = np.array(data.draw(st.lists(st.integers(0, 20), min_size=len(y), max_size=len(y))))
    first, second = stratified_split(y, fraction, seed, groups)
    assert sorted([*first, *second]) == list(range(len(y)))
    assert not set(groups[first]) & set(groups[second])


@given(labels, st.floats(0.05, 0.95), seeds)
def test_each_class_is_divided_in_proportion(y, fraction, seed):
    _, second = stratified_split(y, fraction, seed)
    for label, count in zip(*np.unique(y, return_counts=True), strict=True):
        taken = int((y[second] == label).sum())
        assert abs(taken - fraction * count) <= 1
        assert (count < 2 and taken == 0) or 1 <= taken < count


def test_the_seed_decides():
    y = np.arange(200) % 3
    one, again, other = (stratified_split(y, 0.2, seed)[1].tolist() for seed in (1, 1, 2))
    assert one == again != other


def test_a_group_larger_than_the_share_does_not_empty_a_side():
    y = np.zeros(10, dtype=int)
    groups = np.array([0] * 6 + [1] * 4)
    first, second = stratified_split(y, 0.1, 0, groups)
    assert len(first) and len(second)


def test_groups_do_not_distort_the_share():
    y = np.repeat([0, 1], 300)
    groups = np.arange(600) // 3
    _, second = stratified_split(y, 0.2, 0, groups)
    assert len(second) == 120


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, True, float("nan")])
def test_wrong_fractions(fraction):
    with pytest.raises(OptionError, match="between 0 and 1"):
        stratified_split(np.array([0, 1]), fraction, 0)


@given(labels, st.integers(2, 5), seeds)
def test_folds_are_even_within_each_class_and_in_all(y, k, seed):
    if len(y) < k:
        return
    folds = stratified_folds(y, k, seed)
    for label in np.unique(y):
        counts = np.bincount(folds[y == label], minlength=k)
        assert counts.max() - counts.min() <= 1
    total = np.bincount(folds, minlength=k)
    assert total.max() - total.min() <= 1


def test_folds_keep_groups_together():
    groups = np.arange(60) // 2
    folds = stratified_folds(np.arange(60) // 20, 3, 0, groups)
    assert (folds[::2] == folds[1::2]).all()
    assert np.bincount(folds).tolist() == [20, 20, 20]


def test_folds_need_enough_images():
    with pytest.raises(DataError, match="3 folds need at least 3 different images, there are 2"):
        stratified_folds(np.array([0, 0, 1, 1]), 3, 0, np.array([0, 0, 1, 1]))
    with pytest.raises(OptionError):
        stratified_folds(np.array([0, 1]), 1, 0)


def test_labels_and_groups_must_match():
    with pytest.raises(DataError, match="2 labels but 3 group numbers"):
        stratified_split(np.array([0, 1]), 0.5, 0, np.arange(3))
