"""Stratified, seeded splits that keep copies of one image together."""

from __future__ import annotations

import numpy as np

from autodl.errors import DataError, OptionError
from autodl.rng import derive_seed


def stratified_split(
    y: np.ndarray, fraction: float, seed: int, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Divide rows in two, each class in the same proportion.

    A class of two or more groups has at least one on each side; a class of one group stays in the
    first part.

    Args:
        y: (n,) class numbers.
        fraction: the second part's share, in (0, 1).
        seed: >= 0; the same seed gives the same split.
        groups: (n,) integers; rows of one group are never parted. A group counts to the class of
            its first row.

    Returns:
        Two ascending int64 arrays of rows: the larger part (training) and the second (validation).

    Raises:
        OptionError: the fraction is not between 0 and 1.
    """
    if isinstance(fraction, bool) or not 0 < fraction < 1:
        raise OptionError(f"fraction must be between 0 and 1, both excluded, got {fraction!r}")
    rng = np.random.default_rng(derive_seed(seed, "split"))
    number, sizes, classes = _groups(np.asarray(y), groups)
    in_second = np.zeros(len(sizes), dtype=bool)
    for label in np.unique(classes):
        members = rng.permutation(np.flatnonzero(classes == label))
        if len(members) < 2:
            continue
        total = int(sizes[members].sum())
        wanted = max(1, round(fraction * total))
        in_second[_fill(members[:-1], sizes, wanted)] = True
    second = in_second[number]
    return np.flatnonzero(~second), np.flatnonzero(second)


def _fill(members: np.ndarray, sizes: np.ndarray, wanted: int) -> np.ndarray:
    """The members, in order, whose sizes add up to what is wanted; one at least."""
    if (sizes[members] == 1).all():
        return members[:wanted]
    chosen: list[int] = []
    filled = 0
    for member in members.tolist():
        if filled + sizes[member] <= wanted:
            chosen.append(member)
            filled += int(sizes[member])
    # Every group is larger than the whole share: take the smallest.
    return np.array(chosen or [members[int(np.argmin(sizes[members]))]], dtype=np.int64)


def stratified_folds(y: np.ndarray, k: int, seed: int, groups: np.ndarray | None = None) -> np.ndarray:
    """Divide rows into k folds, each class spread evenly.

    Args:
        y: (n,) class numbers.
        k: number of folds, from 2 to n.
        seed: >= 0.
        groups: (n,) integers; rows of one group share a fold.

    Returns:
        (n,) int64 fold numbers in [0, k).

    Raises:
        OptionError: k is below 2.
        DataError: there are fewer rows (or groups) than folds.
    """
    if isinstance(k, bool) or k < 2:
        raise OptionError(f"k must be at least 2 folds, got {k!r}")
    rng = np.random.default_rng(derive_seed(seed, "folds"))
    number, sizes, classes = _groups(np.asarray(y), groups)
    if len(sizes) < k:
        raise DataError(f"{k} folds need at least {k} different images, there are {len(sizes)}")
    fold = np.zeros(len(sizes), dtype=np.int64)
    in_fold = np.zeros(k, dtype=np.int64)
    for label in np.unique(classes):
        members = rng.permutation(np.flatnonzero(classes == label))
        members = members[np.argsort(-sizes[members], kind="stable")]  # large groups first
        of_class = np.zeros(k, dtype=np.int64)
        for member in members.tolist():
            # The fold with the fewest of this class; among those, the smallest fold.
            best = int(np.lexsort((in_fold, of_class))[0])
            fold[member] = best
            of_class[best] += sizes[member]
            in_fold[best] += sizes[member]
    fold_of_row: np.ndarray = fold[number]
    return fold_of_row


def _groups(y: np.ndarray, groups: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each row's group number from 0, each group's size, each group's class."""
    if groups is None:
        groups = np.arange(len(y))
    if len(groups) != len(y):
        raise DataError(f"there are {len(y)} labels but {len(groups)} group numbers")
    _, first, number, sizes = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)
    return number, sizes, y[first]
