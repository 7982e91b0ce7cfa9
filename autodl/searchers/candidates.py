"""Where an acquisition function is looked at, and how its best point is found.

Random points, neighbours of the best trials, then neighbours of the best of those at ever
smaller steps: needs no gradient, so it serves forests and conditional spaces alike.
"""

from __future__ import annotations

import numpy as np

from autodl.searchers.acquisition import Acquisition
from autodl.searchers.features import Features, Rows, stack
from autodl.searchers.surrogates import Surrogate
from autodl.searchers.unseen import Unseen

_RANDOM = 1000
_NEIGHBOURS = 40
_KEPT = 5
_SCALES = {"GP": (0.05, 0.015, 0.005, 0.0015), "RF": (0.1, 0.03), "ET": (0.1, 0.03)}  # forests are steps
_LOOKS = 100  # points looked at before giving up on one that was not tried yet


def candidate_rows(unseen: Unseen, features: Features, good: Rows, rng: np.random.Generator) -> Rows:
    """Canonical rows to start from: (n, dim).

    Args:
        unseen: knows the space, and what of it was tried.
        features: makes rows canonical.
        good: (k, dim), rows of the best trials so far.
        rng: where random rows come from.
    """
    if unseen.is_listed:
        return listed_rows(features, unseen)
    anywhere, _ = features.canonical(rng.random((_RANDOM, features.dim)))
    near = [features.vary(good, _NEIGHBOURS, scale, rng) for scale in (0.2, 0.05, 0.01)]
    return np.vstack([anywhere, *near])


class AcquisitionSearch:
    """Finds the best untried point of any acquisition under one model.

    Args:
        model: predicts the loss.
        features: makes rows canonical and reads them back.
        unseen: knows the space, and what of it was tried.
        best: the lowest loss so far.
    """

    def __init__(self, model: Surrogate, features: Features, unseen: Unseen, best: float) -> None:
        self._model, self._features, self._unseen, self._best = model, features, unseen, best
        self._is_listed = unseen.is_listed

    def start(self, rows: Rows) -> None:
        """Predict the rows that every acquisition's search starts from: (n, dim), canonical."""
        self._rows = rows
        self._predicted = self._predict(rows)

    def best_row(self, acquisition: Acquisition, rng: np.random.Generator) -> Rows | None:
        """The row of highest value that was not tried yet: (dim,).

        None if all that was looked at was tried already.
        """
        rows, values = self._rows, acquisition(*self._predicted, self._best)
        for scale in () if self._is_listed else _SCALES[self._model.kind]:
            top = rows[np.argsort(-values, kind="stable")[:_KEPT]]
            around = self._features.vary(top, _NEIGHBOURS, scale, rng)
            rows = np.vstack([rows, around])
            values = np.concatenate([values, acquisition(*self._predict(around), self._best)])
        for position in np.argsort(-values, kind="stable")[:_LOOKS]:
            if self._features.decode(rows[position]) in self._unseen:
                found: Rows = rows[position]
                return found
        return None

    def _predict(self, rows: Rows) -> tuple[Rows, Rows]:
        return self._model.predict(self._features.widen(rows))


def listed_rows(features: Features, unseen: Unseen) -> Rows:
    """The rows of all untried configs of a small finite space: (n, dim)."""
    rest = [features.encode(config) for config in unseen.space.enumerate() if config in unseen]
    return stack(rest, features.dim)
