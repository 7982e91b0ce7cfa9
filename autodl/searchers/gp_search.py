"""Where the acquisition of a Gaussian process is highest: gradients along numbers, steps over choices."""

from __future__ import annotations

import numpy as np

from autodl.searchers.candidates import listed_rows
from autodl.searchers.features import Rows
from autodl.searchers.gp_acquisition import LogExpectedImprovement
from autodl.searchers.gp_features import GPFeatures
from autodl.searchers.unseen import Unseen
from autodl.trial import Config

_SCATTERED = 512  # points all over the space
_NEIGHBOURS = 24  # of each good trial, at each scale
_SCALES = (0.2, 0.05, 0.01, 0.002)
_STARTS = 4  # points climbed from
_ROUNDS = 6  # of climbing and stepping, at most
_LOOKS = 100  # points looked at before giving up on one that was not tried yet


class GPSearch:
    """Finds the untried point of highest acquisition.

    Args:
        value: the acquisition.
        features: of the space.
        unseen: knows what of the space was tried.
    """

    def __init__(self, value: LogExpectedImprovement, features: GPFeatures, unseen: Unseen) -> None:
        self._value, self._features, self._unseen = value, features, unseen
        self._is_finite = unseen.size is not None
        self._slopes = features.slopes()

    def best_config(self, good: Rows, rng: np.random.Generator) -> Config | None:
        """The untried config of highest acquisition: of all in a small space, else from good rows on.

        Args:
            good: (k, dim), rows of good trials.
            rng: where other rows come from.
        """
        if self._unseen.is_listed:
            return self._features.decode(self.best_of(listed_rows(self._features, self._unseen)))
        found = self.best_row(scattered_rows(self._features, good, rng))
        return None if found is None else self._features.decode(found)

    def best_row(self, rows: Rows) -> Rows | None:
        """Climb from the best of some rows: (n, dim), canonical -> (dim,); None: all were tried."""
        values = self._value(self._features.widen(rows))
        starts = self._starts(rows, values)
        ends = [self._climb(row, value) for row, value in starts]
        return max(ends, key=lambda end: end[1])[0] if ends else None

    def best_of(self, rows: Rows) -> Rows:
        """The best of rows that are all there is: (n, dim) -> (dim,)."""
        found: Rows = rows[int(np.argmax(self._value(self._features.widen(rows))))]
        return found

    def _starts(self, rows: Rows, values: Rows) -> list[tuple[Rows, float]]:
        """The best untried rows, no two of them close together."""
        chosen: list[tuple[Rows, float]] = []
        for position in np.argsort(-values, kind="stable")[:_LOOKS]:
            row = rows[position]
            if any(np.abs(row - other).max() < 0.05 for other, _ in chosen) or not self._is_new(row):
                continue
            chosen.append((row, float(values[position])))
            if len(chosen) == _STARTS:
                break
        return chosen

    def _is_new(self, row: Rows) -> bool:
        return not self._is_finite or self._features.decode(row) in self._unseen

    def _climb(self, row: Rows, value: float) -> tuple[Rows, float]:
        for _ in range(_ROUNDS):
            before = value
            row, value = self._along_numbers(row, value)
            row, value = self._over_steps(row, value)
            if value <= before + 1e-3:
                break
        return row, value

    def _along_numbers(self, row: Rows, value: float) -> tuple[Rows, float]:
        from scipy.optimize import minimize  # noqa: PLC0415  # heavy, used by this searcher only

        _, active = self._features.canonical(row[None])
        columns = np.flatnonzero(active[0] & self._features.relaxed)
        if not len(columns):
            return row, value
        wide = self._features.widen(row[None])[0]
        moved, slopes = self._features.feature_of[columns], self._slopes[columns]
        offset = wide[moved] - row[columns] * slopes

        def negative(numbers: Rows) -> tuple[float, Rows]:
            wide[moved] = numbers * slopes + offset
            found, gradient = self._value.with_gradient(wide)
            return -found, -gradient[moved] * slopes

        bounds = [(0.0, 1.0)] * len(columns)
        options = {"maxiter": 40, "ftol": 1e-7, "maxls": 10}
        end = minimize(negative, row[columns], jac=True, bounds=bounds, method="L-BFGS-B", options=options)
        other = row.copy()
        other[columns] = end.x
        other = self._features.canonical(other[None])[0][0]
        reached = float(self._value(self._features.widen(other[None]))[0])
        return (other, reached) if reached > value and self._is_new(other) else (row, value)

    def _over_steps(self, row: Rows, value: float) -> tuple[Rows, float]:
        for _ in range(_ROUNDS):
            _, active = self._features.canonical(row[None])
            around = self._features.steps(row, active[0])
            if not len(around):
                break
            around = self._features.canonical(around)[0]
            values = self._value(self._features.widen(around))
            for position in np.argsort(-values, kind="stable"):
                if values[position] <= value + 1e-9:
                    return row, value
                if self._is_new(around[position]):
                    row, value = around[position], float(values[position])
                    break
            else:
                return row, value
        return row, value


def scattered_rows(features: GPFeatures, good: Rows, rng: np.random.Generator) -> Rows:
    """Canonical rows to climb from: all over the space, and near good trials (k, dim)."""
    anywhere, _ = features.canonical(rng.random((_SCATTERED, features.dim)))
    near = [features.vary(good, _NEIGHBOURS, scale, rng) for scale in _SCALES]
    return np.vstack([anywhere, *near])
