"""Asynchronous successive halving, stopping type.

Source: L. Li et al., "A System for Massively Parallel Hyperparameter Tuning" (MLSys 2020),
algorithm 2. Departure: the paper's type pauses every trial at each rung and promotes the best;
the stopping type (as in Ray Tune and Syne Tune) decides once, on arrival, and either lets the
trial run on or ends it. It needs no checkpoints; the price is that the first trials to reach a
rung go on with little to compare them with.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

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
from autodl.schedulers.rungs import bracket_of, check_rungs, goes_on, rung_levels, rung_reached


@dataclass(slots=True)
class _Rung:
    """What is known at one level: the scores, ascending, and how many of each were let on."""

    scores: list[float] = field(default_factory=list)
    gone_on: Counter[float] = field(default_factory=Counter)

    def admit(self, score: float, reduction_factor: float) -> bool:
        """Record an arrival and say whether it goes on."""
        better = len(self.scores) - bisect_right(self.scores, score)
        insort(self.scores, score)
        passes = goes_on(better, self.gone_on[score], len(self.scores), reduction_factor)
        self.gone_on[score] += passes
        return passes


class ASHAScheduler:
    """Ends a trial at a rung unless it is among the best 1/`reduction_factor` seen there.

    A trial that reports past a rung without having reported at it (every 2nd epoch, say) is
    compared at the highest rung it has reached, and at none it jumped over. A trial that came
    back after its worker died is not compared twice at a rung. At `max_resource` itself a trial
    is left to come to its own end (so that what the function does after its last report still
    happens); a report beyond it ends the trial.

    Args:
        max_resource: R, the resource of a full trial, in units of a report's resource (epochs).
        grace_period: r, the resource every trial gets before the first decision.
        reduction_factor: eta > 1, whole or not: 1/eta of the trials pass a rung.
        brackets: number of brackets; bracket s leaves out the first s rungs, a hedge against
            early scores that mislead. Trials are spread over brackets in Hyperband's proportions.

    Raises:
        OptionError: the numbers give no sensible rungs.

    Example:
        >>> asha = ASHAScheduler(max_resource=9, reduction_factor=3)
        >>> asha.handle(TrialReported(0, resource=1, score=0.8))
        (Continue(trial_id=0),)
        >>> asha.handle(TrialReported(1, resource=1, score=0.5))
        (Stop(trial_id=1),)
    """

    def __init__(
        self, max_resource: int, grace_period: int = 1, reduction_factor: float = 3, brackets: int = 1
    ) -> None:
        check_rungs(max_resource, grace_period, reduction_factor, brackets)
        self.max_resource = max_resource
        self.grace_period = grace_period
        self.reduction_factor = reduction_factor
        self.brackets = brackets
        self._levels = [
            rung_levels(max_resource, grace_period, reduction_factor, bracket) for bracket in range(brackets)
        ]
        self._rungs = [[_Rung() for _ in levels] for levels in self._levels]
        self._passed: dict[int, int] = {}  # live trial -> index of the highest rung it was compared at

    def handle(self, event: Event) -> Sequence[Action]:
        """See `autodl.schedulers.protocol.Scheduler.handle`."""
        match event:
            case WorkerFree():
                return (Start(),)
            case TrialReported():
                return (self._decide(event),)
            case TrialFinished(trial_id=trial_id) | TrialFailed(trial_id=trial_id):
                self._passed.pop(trial_id, None)
        return ()

    def _decide(self, event: TrialReported) -> Action:
        trial_id = event.trial_id
        if event.resource > self.max_resource:
            return Stop(trial_id)
        if event.resource == self.max_resource:
            return Continue(trial_id)
        bracket = bracket_of(trial_id, self.reduction_factor, [len(levels) for levels in self._levels])
        index = rung_reached(self._levels[bracket], event.resource)
        if index is None or index <= self._passed.get(trial_id, -1):
            return Continue(trial_id)
        self._passed[trial_id] = index
        # A NaN would break the order of the scores; it is as bad as can be.
        score = -math.inf if math.isnan(event.score) else event.score
        passes = self._rungs[bracket][index].admit(score, self.reduction_factor)
        return Continue(trial_id) if passes else Stop(trial_id)

    def __repr__(self) -> str:
        return (
            f"ASHAScheduler(max_resource={self.max_resource}, grace_period={self.grace_period}, "
            f"reduction_factor={self.reduction_factor}, brackets={self.brackets})"
        )
