"""Which images theta is trained on (D_M) and which policies are scored on (D_A).

Source: S. Lim et al., "Fast AutoAugment" (NeurIPS 2019), algorithm 1. As in its released code the
folds are shuffle splits: each draws its own D_A, so that those of two folds may overlap; within a
fold D_M and D_A share no image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autodl.checks import is_whole
from autodl.errors import OptionError
from autodl.rng import derive_seed

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """One fold.

    Attributes:
        train_rows: rows of D_M, sorted.
        search_rows: rows of D_A, sorted.

    Raises:
        OptionError: a part is empty, or a row stands in both.
    """

    train_rows: Rows
    search_rows: Rows

    def __post_init__(self) -> None:
        for name in ("train_rows", "search_rows"):
            rows = np.unique(np.asarray(getattr(self, name)))
            if rows.ndim != 1 or not len(rows) or rows.dtype.kind not in "iu" or rows[0] < 0:
                raise OptionError(f"{name} must be row numbers >= 0, at least one")
            object.__setattr__(self, name, rows.astype(np.int64))
        both = np.intersect1d(self.train_rows, self.search_rows)
        if len(both):
            raise OptionError(
                f"{len(both)} rows stand in train_rows and in search_rows (such as {both[0]}): policies "
                "would be scored on images that theta knows"
            )

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Split)
            and np.array_equal(self.train_rows, other.train_rows)
            and np.array_equal(self.search_rows, other.search_rows)
        )

    __hash__ = None  # type: ignore[assignment]  # holds arrays


def shuffle_splits(
    labels: Rows, folds: int = 5, *, search_share: float = 0.4, seed: int = 0
) -> tuple[Split, ...]:
    """Random splits in which every class keeps its share.

    Args:
        labels: (n,) class of each image, 0 .. k - 1.
        folds: how many splits.
        search_share: D_A's share of each class, in (0, 1); at least one image a class goes each way.
        seed: of the draws.

    Raises:
        OptionError: an argument out of range.
    """
    if not is_whole(folds, 1):
        raise OptionError(f"folds must be a whole number >= 1, got {folds!r}")
    if not 0 < search_share < 1:
        raise OptionError(f"search_share must lie in (0, 1), got {search_share!r}")
    return tuple(_split(labels, search_share, derive_seed(seed, "fold", fold)) for fold in range(folds))


def _split(labels: Rows, share: float, seed: int) -> Split:
    rng = np.random.default_rng(seed)
    search = []
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        search.append(rows[: min(len(rows) - 1, max(1, round(share * len(rows))))])
    chosen = np.concatenate(search)
    return Split(np.setdiff1d(np.arange(len(labels)), chosen), chosen)


def make_splits(
    folds: int | Sequence[Split], labels: Rows, *, search_share: float, seed: int
) -> tuple[Split, ...]:
    """Given splits, checked against the data; or so many `shuffle_splits`."""
    if not isinstance(folds, Sequence):
        return shuffle_splits(labels, folds, search_share=search_share, seed=seed)
    splits = tuple(folds)
    if not splits or not all(isinstance(split, Split) for split in splits):
        raise OptionError("folds must be a whole number >= 1 or a sequence of autodl.augment.Split")
    for number, split in enumerate(splits):
        highest = max(split.train_rows[-1], split.search_rows[-1])
        if highest >= len(labels):
            raise OptionError(f"fold {number} names row {highest}; there are {len(labels)} images")
        if len(np.unique(labels[split.train_rows])) < 2:
            raise OptionError(f"fold {number}: train_rows hold one class only; theta could learn nothing")
    return splits
