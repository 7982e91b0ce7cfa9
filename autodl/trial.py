"""What is known of a trial: its config, its state and its reports."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum

Value = int | float | bool | str | None
"""What a config may hold: JSON scalars."""

Config = dict[str, Value]
"""A flat config, ``label -> value``; nested spaces use ``/`` in labels; inactive labels are absent."""


class TrialState(StrEnum):
    """Where a trial stands."""

    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    STOPPED = "stopped"  # ended early: by the scheduler, the deadline or the user
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """True once the trial will never report again."""
        return self in (TrialState.COMPLETED, TrialState.STOPPED, TrialState.FAILED)


@dataclass(frozen=True, slots=True)
class Report:
    """What a searcher is told: one measurement of a trial, or its end.

    Attributes:
        trial_id: the trial's number, from 0.
        config: the config it runs with.
        state: RUNNING for a measurement on the way; COMPLETED, STOPPED or FAILED for the end.
        resource: fidelity of the measurement (epochs done, from 1); at the end, the resource spent.
        value: the metric as the user reports it; at the end, the trial's best; None if it never reported.
        score: the same where larger is better, whatever the mode; None with `value`.
        metrics: all that the trial reported with it; metrics that the run's goals name and that the
            trial left out here keep their last value.
        violation: how far the run's constraints are missed, relative to their bounds; 0: feasible.
    """

    trial_id: int
    config: Config
    state: TrialState
    resource: int
    value: float | None
    score: float | None
    metrics: dict[str, float] = field(default_factory=dict)
    violation: float = 0.0

    @property
    def merit(self) -> tuple[float, float]:
        """What reports are compared by, larger is better: first the constraints, then the score."""
        return -self.violation, -math.inf if self.score is None else self.score


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of training: from the epoch after `resource` on, trial `trial_id` trained with `config`."""

    resource: int
    config: Config
    trial_id: int


@dataclass(slots=True)
class Trial:
    """The tuner's record of one trial; the leaderboard has one row for each.

    Times are seconds since the run's start.
    """

    trial_id: int
    config: Config
    state: TrialState = TrialState.RUNNING
    reports: list[Report] = field(default_factory=list)
    attempt: int = 1
    started_s: float = 0.0
    ended_s: float | None = None
    worker: str = ""
    error: str | None = None  # reason, and the traceback for a trial that raised
    lineage: list[Stage] = field(default_factory=list)  # empty while neither config nor weights changed

    @property
    def best(self) -> Report | None:
        """The report with the highest score, the earliest of equals; feasible ones go first."""
        scored = [r for r in self.reports if r.score is not None]
        return max(scored, key=lambda r: r.merit, default=None)

    @property
    def resource(self) -> int:
        """The highest resource reported so far, 0 before the first report."""
        return max((r.resource for r in self.reports), default=0)

    @property
    def schedule(self) -> tuple[Stage, ...]:
        """How the weights came about, oldest stage first; more than one where a scheduler changed them.

        Weights copied from another trial bring its stages along. A worker that reported nothing yet
        of an epoch it had saved when it was copied from makes the boundary early by that epoch.
        """
        return tuple(self.lineage) or (Stage(0, self.config, self.trial_id),)

    def go_on_with(self, config: Config, source: Trial | None) -> None:
        """Change the config, and where `source` is given the weights to its last saved ones."""
        origin = self if source is None else source
        stages = [*origin.schedule, Stage(origin.resource, config, self.trial_id)]
        self.config, self.lineage = config, stages
