"""The median stopping rule.

Source: D. Golovin, B. Solnik, S. Moitra, G. Kochanski, J. Karro, D. Sculley, "Google Vizier: A
Service for Black-Box Optimization" (KDD 2017), section 3.2.2. Departure: the running means of all
trials that got as far count, not those of completed trials alone, so that it acts from the start.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass

from autodl.checks import check_whole
from autodl.schedulers.ladders import comparable
from autodl.schedulers.protocol import (
    Action,
    Continue,
    Event,
    Start,
    Stop,
    TrialFailed,
    TrialFinished,
    TrialReported,
    WorkerFree,
)


@dataclass(slots=True)
class _Curve:
    """A live trial's scores so far."""

    resource: int = -1
    best: float = float("-inf")
    total: float = 0.0
    count: int = 0


class MedianStoppingScheduler:
    """Ends a trial whose best score so far is below the median of the others' running means.

    A running mean is over a trial's reports up to the resource in question; only trials that
    reported at exactly that resource are compared. No checkpoints are needed, and no
    `max_resource`: trials run to their own end.

    Args:
        grace_period: no trial ends before it has spent this much resource.
        min_samples: no trial ends before so many others have reported at the same resource.

    Raises:
        OptionError: not whole numbers >= 1.

    Example:
        >>> median = MedianStoppingScheduler(min_samples=2)
        >>> for trial_id, score in enumerate((0.7, 0.9, 0.6)):
        ...     print(median.handle(TrialReported(trial_id, 1, score)))
        (Continue(trial_id=0),)
        (Continue(trial_id=1),)
        (Stop(trial_id=2),)
    """

    def __init__(self, grace_period: int = 1, min_samples: int = 5) -> None:
        check_whole("grace_period", grace_period)
        check_whole("min_samples", min_samples)
        self.grace_period = grace_period
        self.min_samples = min_samples
        self._curves: dict[int, _Curve] = {}
        self._means: dict[int, list[float]] = {}  # resource -> running means of all trials, ascending

    def handle(self, event: Event) -> Sequence[Action]:
        """See `autodl.schedulers.protocol.Scheduler.handle`."""
        match event:
            case WorkerFree(can_start=can_start):
                return (Start(),) if can_start else ()
            case TrialReported():
                return (self._decide(event),)
            case TrialFinished(trial_id=trial_id) | TrialFailed(trial_id=trial_id):
                self._curves.pop(trial_id, None)
        return ()

    def _decide(self, event: TrialReported) -> Action:
        curve = self._curves.setdefault(event.trial_id, _Curve())
        if event.resource <= curve.resource:  # a trial that came back after its worker died
            return Continue(event.trial_id)
        score = comparable(event.score)
        curve.resource = event.resource
        curve.best = max(curve.best, score)
        curve.total, curve.count = curve.total + score, curve.count + 1
        means = self._means.setdefault(event.resource, [])
        is_known = event.resource >= self.grace_period and len(means) >= self.min_samples
        ends = is_known and curve.best < _median(means)
        insort(means, comparable(curve.total / curve.count))
        return Stop(event.trial_id) if ends else Continue(event.trial_id)

    def __repr__(self) -> str:
        return f"MedianStoppingScheduler(grace_period={self.grace_period}, min_samples={self.min_samples})"


def _median(ascending: list[float]) -> float:
    middle = len(ascending) // 2
    if len(ascending) % 2:
        return ascending[middle]
    low, high = ascending[middle - 1], ascending[middle]
    return low if low == high else low / 2 + high / 2  # halves first: huge scores do not overflow
