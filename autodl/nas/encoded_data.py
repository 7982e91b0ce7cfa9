"""Measurements of several fidelities on one scale, for a surrogate of encoded architectures."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from autodl.searchers.gp_targets import gp_targets
from autodl.searchers.losses import capped
from autodl.trial import Config, Report, TrialState

__all__ = ["FidelityData"]

_Array = NDArray[np.float64]
_PAIRS = 5  # trials with both fidelities that a slope needs
_SLOPES = (0.1, 10.0)


class FidelityData:
    """Scores of trials at each resource they reported.

    Args:
        repeats_from: from this resource on reports are of one fidelity, each in place of the one before;
            None: each resource is a fidelity.
    """

    def __init__(self, repeats_from: int | None = None) -> None:
        self._last = math.inf if repeats_from is None else repeats_from
        self._trials: dict[int, tuple[Config, _Array]] = {}
        self._scores: dict[tuple[int, int], float | None] = {}
        self._running: set[int] = set()

    def __len__(self) -> int:
        """How many trials are known, running ones included."""
        return len(self._trials)

    def knows(self, trial_id: int) -> bool:
        """Whether the trial was added."""
        return trial_id in self._trials

    @property
    def num_scores(self) -> int:
        """How many measurements there are."""
        return sum(score is not None for score in self._scores.values())

    @property
    def configs(self) -> list[Config]:
        """Of all trials with a measurement, in the order they began."""
        return [self._trials[trial_id][0] for trial_id in self._measured()]

    @property
    def vectors(self) -> _Array:
        """Their encodings: (trials, features)."""
        return self._stacked(self._measured())

    @property
    def pending(self) -> _Array:
        """Encodings of running trials without a measurement: (trials, features)."""
        measured = set(self._measured())
        return self._stacked([trial_id for trial_id in self._running if trial_id not in measured])

    def complete(self) -> tuple[list[Config], _Array]:
        """Configs and encodings of the trials measured at the highest resource seen."""
        top = max((resource for _, resource in self._scores), default=0)
        chosen = [trial for (trial, r), score in self._scores.items() if r == top and score is not None]
        return [self._trials[trial][0] for trial in chosen], self._stacked(chosen)

    def add(self, trial_id: int, config: Config, vector: _Array) -> None:
        """A trial that is going to run."""
        self._trials[trial_id] = (config, vector)
        self._running.add(trial_id)

    def observe(self, report: Report) -> None:
        """Take a report of an added trial."""
        score = report.score if report.score is not None and math.isfinite(report.score) else None
        level = int(min(max(report.resource, 1), self._last))
        if report.state is TrialState.FAILED:
            self._scores.setdefault((report.trial_id, level), None)
        elif not report.state.ended:
            self._scores[report.trial_id, level] = score
        elif report.trial_id not in self._measured() and score is not None:  # of an earlier run
            self._scores[report.trial_id, level] = score
        if report.state.ended:
            self._running.discard(report.trial_id)

    def points(self, limit: int) -> tuple[_Array, _Array]:
        """What to learn from.

        Args:
            limit: measurements at most.

        Returns:
            points (n, features + 1), the last column the fidelity from 0 to 1, and targets (n,),
            standardised, smaller is better.
        """
        keys = list(self._scores)
        levels = sorted({resource for _, resource in keys})
        scores = self._aligned(levels)
        chosen = capped(scores, limit)
        position = {level: i / max(len(levels) - 1, 1) for i, level in enumerate(levels)}
        if len(levels) == 1:
            position = {levels[0]: 1.0}
        rows = [[*self._trials[keys[i][0]][1], position[keys[i][1]]] for i in chosen]
        return np.array(rows), gp_targets([scores[i] for i in chosen])

    def _aligned(self, levels: list[int]) -> list[float | None]:
        """All scores on the scale of the highest resource, in the order of the measurements."""
        lines = {level: self._line(level, levels[-1]) for level in levels}
        aligned: list[float | None] = []
        for (_, level), score in self._scores.items():
            slope, offset = lines[level]
            aligned.append(None if score is None else slope * score + offset)
        return aligned

    def _line(self, level: int, top: int) -> tuple[float, float]:
        """Slope and offset that give a resource's scores the mean and spread of the top's.

        Of the trials that have both. Least squares would flatten the slope: trials that were let on
        differ at the lower resource mostly by noise.
        """
        if level == top:
            return 1.0, 0.0
        pairs = [
            (score, self._scores[trial, top])
            for (trial, r), score in self._scores.items()
            if r == level and score is not None and self._scores.get((trial, top)) is not None
        ]
        x, y = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs], dtype=np.float64)
        if not pairs:
            return 1.0, 0.0
        slope = 1.0
        if len(pairs) >= _PAIRS and np.ptp(x) > 0.0:
            slope = float(np.clip(y.std() / x.std(), *_SLOPES))
        return slope, float(y.mean() - slope * x.mean())

    def _measured(self) -> list[int]:
        return list(dict.fromkeys(trial for (trial, _), score in self._scores.items() if score is not None))

    def _stacked(self, trials: list[int]) -> _Array:
        rows = [self._trials[trial][1] for trial in trials]
        return np.stack(rows) if rows else np.empty((0, 0))
