"""What trials reported at the rungs: the few points of each learning curve that a model is to see.

Rungs are told from the reports alone: the first report of a trial at or past grace_period *
eta^k counts for rung k, with the resource it really has; all others are left out. Curves epoch by
epoch would overwhelm a Gaussian process, and say little more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from autodl.searchers.features import Features, Rows, stack
from autodl.searchers.gp_targets import gp_targets
from autodl.searchers.losses import capped
from autodl.trial import Config, Report, TrialState

_FAILED = -1  # stands for the rung of a trial that failed


@dataclass(frozen=True, slots=True)
class CurvePoints:
    """Measurements as arrays.

    Attributes:
        rows: configs, canonical (n, dim).
        resource: (n,).
        targets: (n,), smaller is better; standardised.
    """

    rows: Rows
    resource: Rows
    targets: Rows


class RungData:
    """Measurements at the rungs, and which trials are unfinished.

    Args:
        features: of the space.
        grace_period: the lowest rung.
        reduction_factor: eta, the ratio of rungs.
        max_resource: the highest; None: not known.
    """

    def __init__(
        self, features: Features, grace_period: int, reduction_factor: float, max_resource: int | None
    ) -> None:
        self._features = features
        self._grace_period, self._reduction_factor = grace_period, reduction_factor
        self._max_resource = math.inf if max_resource is None else max_resource
        self._rows: dict[int, Rows] = {}
        self._scores: dict[tuple[int, int], tuple[int, float | None]] = {}
        self._reached: dict[int, float] = {}  # highest resource measured; infinite for failed trials
        self.num_scores = 0

    def __len__(self) -> int:
        """How many measurements there are."""
        return len(self._scores)

    def add(self, trial_id: int, config: Config) -> None:
        """A trial that is going to run."""
        self._rows[trial_id] = self._features.encode(config)

    def knows(self, trial_id: int) -> bool:
        """Whether the trial was added."""
        return trial_id in self._rows

    @property
    def num_trials(self) -> int:
        """How many trials are known, those of other searchers and earlier runs included."""
        return len(self._rows)

    def unfinished(self, goal: float) -> Rows:
        """Configs of trials that have not failed and were not measured at the goal: (k, dim)."""
        waiting = [row for trial_id, row in self._rows.items() if self._reached.get(trial_id, 0.0) < goal]
        return stack(waiting, self._features.dim)

    def observe(self, report: Report) -> None:
        """Take a report of an added trial."""
        trial_id, score = report.trial_id, report.score
        if score is not None and not math.isfinite(score):
            score = None
        if report.state is TrialState.FAILED:
            self._put(trial_id, _FAILED, self._grace_period, None)
        elif not report.state.ended:
            rung = self._rung(report.resource)
            if rung is not None:
                self._put(trial_id, rung, report.resource, score)
        elif report.state is TrialState.COMPLETED and trial_id not in self._reached:
            self._put(trial_id, 0, max(report.resource, 1), score)

    def points(self, limit: int) -> CurvePoints:
        """The measurements, at most so many: half of them the best, the others the latest."""
        keys, values = list(self._scores), list(self._scores.values())
        chosen = capped([score for _, score in values], limit)
        return CurvePoints(
            stack([self._rows[keys[i][0]] for i in chosen], self._features.dim),
            np.array([values[i][0] for i in chosen], dtype=np.float64),
            gp_targets([values[i][1] for i in chosen]),
        )

    def _rung(self, resource: int) -> int | None:
        if resource < self._grace_period:
            return None
        passed = math.log(resource / self._grace_period) / math.log(self._reduction_factor)
        return math.floor(passed + 1e-9) + (resource >= self._max_resource)

    def _put(self, trial_id: int, rung: int, resource: int, score: float | None) -> None:
        if (trial_id, rung) in self._scores:
            return
        self._scores[trial_id, rung] = (resource, score)
        self.num_scores += score is not None
        self._reached[trial_id] = math.inf if score is None else resource
