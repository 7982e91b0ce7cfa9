"""From the metrics of a report to what is recorded of it, and to the number that is told."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from autodl.measure import measure
from autodl.objectives import Goals, squashed
from autodl.trial import Report, Trial

_SECOND = 0.05
"""Weight of the sum beside the worst objective: of two trials with the same worst, the better one wins."""


class Judge:
    """Measures reports by a run's goals.

    What is told depends on the reports told before, and on nothing else: replay gives the same.

    Args:
        goals: objectives and constraints.
    """

    def __init__(self, goals: Goals) -> None:
        self.goals = goals
        self._all = _Ranges(len(goals.objectives))
        self._feasible = _Ranges(len(goals.objectives))

    @property
    def wanted(self) -> str:
        """What a trial has to report, in words."""
        names = [repr(objective.metric) for objective in self.goals.objectives]
        return f"the metric {names[0]}" if len(names) == 1 else f"all of the metrics {', '.join(names)}"

    def measure(self, trial: Trial, resource: int, metrics: dict[str, float]) -> tuple[Report, str | None]:
        """The record of a report, and why it fails the trial; see `autodl.measure`."""
        return measure(self.goals, trial, resource, metrics)

    def told(self, report: Report) -> Report:
        """As searcher and scheduler learn of it: the score is one number for all goals.

        With several metrics it is how good the worst of them is, each measured by the range seen
        so far (an augmented Chebyshev scalarisation with equal weights; J. Knowles, "ParEGO",
        2006, equation 2). A report that misses a constraint comes below all feasible ones, the
        further the more it misses (K. Deb, "An efficient constraint handling method for genetic
        algorithms", 2000, equation 4).
        """
        if self.goals.is_simple or report.score is None:
            return report
        scores = self.goals.scores(report.metrics)
        if scores is None:
            return report
        self._all.include(scores)
        if report.violation <= 0.0:
            self._feasible.include(scores)
        known = self._all if self._feasible.is_empty else self._feasible
        missed = squashed(report.violation)
        if len(scores) > 1:
            shares = known.shares(scores)
            told = min(shares) + _SECOND * sum(shares) if missed <= 0.0 else -missed
        elif missed > 0.0:
            told = min(scores[0], known.low[0]) - missed * known.span(0)
        else:
            told = scores[0]
        return dataclasses.replace(report, score=told)


class _Ranges:
    """Lowest and highest value of each coordinate."""

    def __init__(self, count: int) -> None:
        self.low, self.high = [math.inf] * count, [-math.inf] * count

    @property
    def is_empty(self) -> bool:
        return self.low[0] > self.high[0]

    def include(self, values: Sequence[float]) -> None:
        self.low = [min(pair) for pair in zip(self.low, values, strict=True)]
        self.high = [max(pair) for pair in zip(self.high, values, strict=True)]

    def span(self, position: int) -> float:
        """The width of a range; 1 where it has none."""
        return (self.high[position] - self.low[position]) or 1.0

    def shares(self, values: Sequence[float]) -> list[float]:
        """Values as parts of their ranges."""
        return [
            (value - low) / self.span(i) for i, (value, low) in enumerate(zip(values, self.low, strict=True))
        ]
