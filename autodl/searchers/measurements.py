"""What trials reported, by resource, for searchers that compare them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from autodl.searchers.features import Features, Rows
from autodl.searchers.unseen import Unseen
from autodl.spaces.search_space import SearchSpace
from autodl.trial import Config, Report, TrialState


@dataclass(slots=True)
class Measured:
    """One trial as far as it is known.

    Attributes:
        row: its config, (dim,), canonical.
        scores: by resource; larger is better; finite numbers only.
        final: its score, once it has completed.
        has_ended: it will report no more.
    """

    row: Rows
    scores: dict[int, float] = field(default_factory=dict)
    final: float | None = None
    has_ended: bool = False

    @property
    def reached(self) -> tuple[int, float]:
        """The highest resource with a score, and that score; (-1, -inf) without any."""
        resource = max(self.scores, default=-1)
        return resource, self.scores.get(resource, -math.inf)


class Measurements:
    """All trials of a run by their number, and how many have a score at which resource.

    Args:
        space: what configs belong to.

    Attributes:
        features: the space as columns.
        unseen: what was not proposed yet.
        trials: by number, in the order they became known.
        num_completed: trials with a final score.
        num_scored: trials with any score.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.features = Features(space)
        self.unseen = Unseen(space)
        self.trials: dict[int, Measured] = {}
        self.num_completed = 0
        self.num_scored = 0
        self._counts: dict[int, int] = {}

    def add(self, trial_id: int, config: Config) -> None:
        """A trial that is going to run."""
        self.unseen.see(config)
        self.trials[trial_id] = Measured(self.features.encode(config))

    def observe(self, report: Report) -> None:
        """Take a measurement or the end of a trial; what is not finite counts as a failure."""
        if report.trial_id not in self.trials:
            self.add(report.trial_id, report.config)
        trial = self.trials[report.trial_id]
        if trial.has_ended:
            return
        trial.has_ended = report.state.ended
        score = report.score
        if score is None or not math.isfinite(score) or report.state is TrialState.FAILED:
            if report.state is TrialState.FAILED:  # whatever it reached, nobody wants it again
                self.num_scored -= bool(trial.scores)
                for resource in trial.scores:
                    self._counts[resource] -= 1
                trial.scores.clear()
            return
        if report.state is TrialState.COMPLETED:
            self.num_completed += 1
            trial.final = score
        self.num_scored += not trial.scores
        if report.resource not in trial.scores:
            self._counts[report.resource] = self._counts.get(report.resource, 0) + 1
            trial.scores[report.resource] = score

    def highest_resource(self, enough: int) -> int | None:
        """The highest resource at which so many trials have a score; None: there is none."""
        return max((resource for resource, count in self._counts.items() if count >= enough), default=None)

    def ranked(self, enough: int) -> list[int]:
        """Numbers of the trials with a score, best first.

        Trials that completed are compared by their final scores. As long as fewer than `enough`
        have, those that reached the highest resource with `enough` scores are compared there.
        All others come after them, by how far they got and then by their score there: a
        scheduler stopped them for being worse, or they are still on their way.

        Args:
            enough: scores that make a comparison.
        """
        level = None if self.num_completed >= enough else self.highest_resource(enough)
        keys: dict[int, tuple[float, float, float]] = {}
        for trial_id, trial in self.trials.items():
            if not trial.scores:
                continue
            here = trial.final if level is None else trial.scores.get(level, trial.final)
            if here is None:
                resource, score = trial.reached
                keys[trial_id] = (1, -resource, -score)
            else:
                keys[trial_id] = (0, 0, -here)
        return sorted(keys, key=lambda trial_id: (*keys[trial_id], trial_id))
