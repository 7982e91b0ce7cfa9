"""What reports, plots and the progress display may read of a run.

`Trial` of `autodl.trial`, and the run and result objects of the tuner, satisfy these protocols as
they are; anything else with the same attributes does as well (a journal read back, a test's stub).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from autodl.objectives import Goals, Objective
from autodl.trial import Config, Report, TrialState


class TrialView(Protocol):
    """One trial, read only; times are seconds since the run's start."""

    @property
    def trial_id(self) -> int:
        """The trial's number, from 0."""

    @property
    def config(self) -> Config:
        """The config it runs with; labels of branches not taken are absent."""

    @property
    def state(self) -> TrialState:
        """Where the trial stands."""

    @property
    def reports(self) -> Sequence[Report]:
        """All its measurements, in order of arrival."""

    @property
    def attempt(self) -> int:
        """Which try this is, from 1."""

    @property
    def started_s(self) -> float:
        """When it first started."""

    @property
    def ended_s(self) -> float | None:
        """When it ended, None while it has not."""

    @property
    def worker(self) -> str:
        """The worker it runs on, "" when unknown."""

    @property
    def error(self) -> str | None:
        """Why it failed: a reason or a traceback."""

    @property
    def best(self) -> Report | None:
        """The report with the highest score."""

    @property
    def resource(self) -> int:
        """The highest resource (epochs) reported, 0 before the first report."""


class ResultView(Protocol):
    """What plots and the leaderboard need: trials and what is measured. A `TuneResult` is one."""

    @property
    def trials(self) -> Sequence[TrialView]:
        """All trials, by number."""

    @property
    def metric(self) -> str:
        """The metric's name."""

    @property
    def mode(self) -> str:
        """``"min"`` or ``"max"``."""


class RunView(ResultView, Protocol):
    """A run under way, as callbacks see it."""

    @property
    def num_trials(self) -> int | None:
        """How many trials are planned, None without a limit."""

    @property
    def time_limit_s(self) -> float | None:
        """Seconds the whole run may take, None without a limit."""

    @property
    def elapsed_s(self) -> float:
        """Seconds since the run's start."""

    @property
    def num_workers(self) -> int:
        """How many trials may run at once."""

    @property
    def path(self) -> Path:
        """The run's directory."""


def goals_of(result: ResultView) -> Goals:
    """All metrics and constraints of a run, for views that may not know them."""
    goals = getattr(result, "goals", None)
    return goals if isinstance(goals, Goals) else Goals((Objective(result.metric, result.mode),))
