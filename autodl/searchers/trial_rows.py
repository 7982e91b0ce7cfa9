"""What a searcher that learns from the ends of trials knows of them."""

from __future__ import annotations

import math
from collections.abc import Iterable

from autodl.searchers.features import Features, Rows, stack
from autodl.searchers.losses import capped
from autodl.searchers.unseen import Unseen
from autodl.trial import Config, Report, TrialState


class TrialRows:
    """The rows of trials, running ones apart from those that ended.

    Args:
        features: turns configs into rows.
        unseen: is told of every config.
    """

    def __init__(self, features: Features, unseen: Unseen) -> None:
        self._features, self._unseen = features, unseen
        self._pending: dict[int, Rows] = {}
        self._ended: dict[int, tuple[Rows, float | None]] = {}

    def __len__(self) -> int:
        """How many trials are known, running ones included."""
        return len(self._ended) + len(self._pending)

    @property
    def num_ended(self) -> int:
        """How many trials ended."""
        return len(self._ended)

    @property
    def num_scored(self) -> int:
        """How many trials ended with a score."""
        return sum(score is not None for score in self.scores)

    @property
    def scores(self) -> list[float | None]:
        """Of the trials that ended, in the order they did; None: it failed."""
        return [score for _, score in self._ended.values()]

    @property
    def pending(self) -> Rows:
        """The rows of running trials: (k, dim)."""
        return stack(list(self._pending.values()), self._features.dim)

    def skip(self, configs: Iterable[Config]) -> None:
        """These count as seen."""
        for config in configs:
            self._unseen.see(config)

    def add(self, trial_id: int, config: Config) -> None:
        """A trial that is going to run."""
        self._unseen.see(config)
        self._pending[trial_id] = self._features.encode(config)

    def observe(self, report: Report) -> None:
        """Take the end of a trial; a measurement on the way only tells that it runs."""
        if report.trial_id in self._ended:
            return
        if report.trial_id not in self._pending:  # a trial someone else proposed
            self.add(report.trial_id, report.config)
        if report.state.ended:
            row, score = self._pending.pop(report.trial_id), report.score
            is_known = score is not None and math.isfinite(score) and report.state is not TrialState.FAILED
            self._ended[report.trial_id] = (row, score if is_known else None)

    def chosen(self, limit: int) -> tuple[Rows, list[float | None]]:
        """Rows (n, dim) and scores of at most `limit` trials to learn from; see `losses.capped`."""
        ended = list(self._ended.values())
        chosen = capped([score for _, score in ended], limit)
        return stack([ended[i][0] for i in chosen], self._features.dim), [ended[i][1] for i in chosen]
