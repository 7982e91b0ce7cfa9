"""Synchronous successive halving, and Hyperband as it was first published.

Source: K. Jamieson, A. Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter
Optimization" (AISTATS 2016); L. Li et al., "Hyperband" (JMLR 2018), algorithm 1 and table 1.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from autodl.schedulers.ladders import comparable
from autodl.schedulers.protocol import (
    Action,
    Continue,
    Event,
    Pause,
    Resume,
    Start,
    Stop,
    TrialFailed,
    TrialFinished,
    TrialPaused,
    TrialReported,
    TrialStarted,
    WorkerFree,
)
from autodl.schedulers.rungs import check_rungs, places, rung_levels


class SyncHalvingScheduler:
    """Waits at each rung for all trials of the bracket, then lets the best 1/eta go on.

    No decision is ever taken back, but workers idle until the slowest trial has arrived: with
    more than one worker `ASHAScheduler` is nearly always the better choice. Trials pause, so the
    training function should ``reporter.save``. When no new trial may start, a bracket goes on
    with those it has. A trial that failed, or came to its own end before the rung, still counts
    among those of which 1/eta go on.

    Args:
        max_resource: R, the resource of a full trial.
        grace_period: r, the resource of a trial at the first rung.
        reduction_factor: eta > 1.
        brackets: 1: the same bracket over and over; more: Hyperband's brackets in turn, each
            leaving out one more of the first rungs.

    Raises:
        OptionError: the numbers give no sensible rungs.

    Example:
        >>> SyncHalvingScheduler(max_resource=81, brackets=5).sizes
        (81, 34, 15, 8, 5)
    """

    def __init__(
        self, max_resource: int, grace_period: int = 1, reduction_factor: float = 3, brackets: int = 1
    ) -> None:
        check_rungs(max_resource, grace_period, reduction_factor, brackets)
        self.max_resource = max_resource
        self.grace_period = grace_period
        self.reduction_factor = reduction_factor
        self.brackets = brackets
        self._ladders = [
            rung_levels(max_resource, grace_period, reduction_factor, bracket) for bracket in range(brackets)
        ]
        self._losers: list[int] = []  # to be stopped with the next answer that allows it
        self._bracket = -1
        self._next_bracket()

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many trials each bracket starts with.

        ``ceil(B / (k + 1) * eta**k)`` where k is the bracket's number of rungs, B - 1 the largest.
        """
        most = len(self._ladders[0]) + 1
        counts = [len(levels) for levels in self._ladders]
        return tuple(math.ceil(most / (k + 1) * self.reduction_factor**k - 1e-9) for k in counts)

    def handle(self, event: Event) -> Sequence[Action]:
        """See `autodl.schedulers.protocol.Scheduler.handle`."""
        match event:
            case WorkerFree(can_start=can_start):
                return self._next_job(can_start=can_start)
            case TrialStarted(trial_id=trial_id):
                self._size += 1
                self._running.add(trial_id)
                self._is_open = self._size < self.sizes[self._bracket]
                return ()
            case TrialReported():
                return (self._decide(event), *self._stops())
            case TrialPaused(trial_id=trial_id):
                self._arrived(trial_id)
            case TrialFinished(trial_id=trial_id) | TrialFailed(trial_id=trial_id):
                self._scores.pop(trial_id, None)
                self._arrived(trial_id)
        return self._stops()

    def _next_bracket(self) -> None:
        self._bracket = (self._bracket + 1) % self.brackets
        self._levels = self._ladders[self._bracket]
        self._rung = 0
        self._size = 0  # trials of the rung, those still to resume included
        self._is_open = True  # new trials may join
        self._running: set[int] = set()
        self._queue: deque[int] = deque()  # promoted, waiting for a worker
        self._scores: dict[int, float] = {}  # of those that have arrived
        self._paused_at: dict[int, int] = {}  # resource; rungs may lie between two reports

    @property
    def _level(self) -> int | None:
        return self._levels[self._rung] if self._rung < len(self._levels) else None

    def _next_job(self, *, can_start: bool) -> Sequence[Action]:
        if self._is_open and not can_start and not self._running and self._size:
            self._is_open = False  # nobody runs, nobody comes: go on with those that are there
            self._close()
        if self._queue:
            trial_id = self._queue.popleft()
            self._running.add(trial_id)
            level = self._level
            is_above = level is not None and level > self._paused_at[trial_id]
            return (Resume(trial_id, level if is_above else None),)  # else its next report is due
        return (Start(self._level),) if self._is_open and can_start else ()

    def _decide(self, event: TrialReported) -> Action:
        trial_id = event.trial_id
        if event.resource > self.max_resource:
            return Stop(trial_id)
        is_due = self._level is not None and self._level <= event.resource < self.max_resource
        if not is_due or trial_id not in self._running:
            return Continue(trial_id)
        self._scores[trial_id] = comparable(event.score)
        self._paused_at[trial_id] = event.resource
        return Pause(trial_id)

    def _arrived(self, trial_id: int) -> None:
        if trial_id not in self._running:
            return  # one that was stopped after the rung was decided
        self._running.discard(trial_id)
        self._close()

    def _close(self) -> None:
        """Decide the rung if all have arrived."""
        if self._is_open or self._running or self._queue:
            return
        best = sorted(self._scores, key=lambda trial_id: (-self._scores[trial_id], trial_id))
        count = max(1, places(self._size, self.reduction_factor))
        self._losers += best[count:]
        if not best:  # the last stage is over, or all have failed
            self._next_bracket()
            return
        self._rung += 1
        self._queue.extend(best[:count])
        self._size = len(self._queue)
        self._scores = {}

    def _stops(self) -> tuple[Action, ...]:
        losers, self._losers = self._losers, []
        return tuple(Stop(trial_id) for trial_id in losers)

    def __repr__(self) -> str:
        return (
            f"SyncHalvingScheduler(max_resource={self.max_resource}, grace_period={self.grace_period}, "
            f"reduction_factor={self.reduction_factor}, brackets={self.brackets})"
        )
