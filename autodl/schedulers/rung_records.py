"""What is known at one rung, and whom it lets on: one record for each type of successive halving."""

from __future__ import annotations

import heapq
from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Callable

from autodl.schedulers.rungs import goes_on, places


class StoppingRung:
    """Decides once, on arrival.

    Args:
        reduction_factor: eta > 1.
    """

    def __init__(self, reduction_factor: float) -> None:
        self._factor = reduction_factor
        self._scores: list[float] = []  # ascending
        self._gone_on: Counter[float] = Counter()  # how many of each score were let on

    def admit(self, score: float) -> bool:
        """Record an arrival and say whether it goes on. The score is no NaN."""
        better = len(self._scores) - bisect_right(self._scores, score)
        insort(self._scores, score)
        passes = goes_on(better, self._gone_on[score], len(self._scores), self._factor)
        self._gone_on[score] += passes
        return passes


class PromotionRung:
    """Keeps every arrival waiting, and gives out those among the best ``floor(n / eta)`` of all so far.

    Arrivals are held in two heaps, the best ``floor(n / eta)`` and the others, for the threshold
    between them is all that a decision needs: O(log n) an event. Of equal scores the lower trial
    number is the better one.

    Args:
        reduction_factor: eta > 1.
    """

    def __init__(self, reduction_factor: float) -> None:
        self._factor = reduction_factor
        self._count = 0
        self._top: list[tuple[float, int]] = []  # heap of (score, -trial): the worst of the best first
        self._others: list[tuple[float, int]] = []  # heap of (-score, trial): the best first
        self._waiting: list[tuple[float, int]] = []  # the same, of those that can be promoted

    def record(self, trial_id: int, score: float) -> None:
        """An arrival. It counts from now on, but waits for nothing before `wait`. No NaN."""
        self._count += 1
        worst_score, negative_id = heapq.heappushpop(self._top, (score, -trial_id))
        heapq.heappush(self._others, (-worst_score, -negative_id))
        if len(self._top) < places(self._count, self._factor):
            best_score, best_id = heapq.heappop(self._others)
            heapq.heappush(self._top, (-best_score, -best_id))

    def wait(self, trial_id: int, score: float) -> None:
        """A recorded trial is paused: it may be promoted."""
        heapq.heappush(self._waiting, (-score, trial_id))

    def promote(self, is_live: Callable[[int], bool]) -> int | None:
        """The best trial that waits, if it is among the best; it waits no longer."""
        while self._waiting and not is_live(self._waiting[0][1]):
            heapq.heappop(self._waiting)
        if not self._waiting or not self._top:
            return None
        negative_score, trial_id = self._waiting[0]
        if (-negative_score, -trial_id) < self._top[0]:
            return None
        heapq.heappop(self._waiting)
        return trial_id
