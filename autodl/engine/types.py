"""What the parts of the engine hand to each other."""

from __future__ import annotations

from dataclasses import dataclass

from autodl.checks import check_whole
from autodl.executors.protocol import Decision
from autodl.objectives import Constraint, Goals
from autodl.objectives import Objective as Objective
from autodl.trial import Config, Report


@dataclass(frozen=True, slots=True)
class Launch:
    """A job to start. `trial_id` is new for a fresh trial, known for one that goes on.

    `copy_from`: the trial whose checkpoint replaces this one's before the job starts.
    """

    trial_id: int
    config: Config
    to_resource: int | None
    is_new: bool
    copy_from: int | None = None


@dataclass(frozen=True, slots=True)
class Idle:
    """No job for a free worker now, and who had none: "num_trials", "searcher" or "scheduler"."""

    why: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a report. `report` is None when it repeats what an earlier attempt reported."""

    decision: Decision
    report: Report | None = None
    stops: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a run is limited and reproduced.

    Attributes:
        objective: what is measured.
        num_trials: how many trials at most; None: no limit.
        time_limit_s: wall-clock seconds for this call; None: no limit.
        seed: fixes proposals and the trials' own seeds.
        resume: go on with the run that the path holds, if there is one.
        keep_checkpoints: the ``reporter.save`` files of this many best trials are kept once
            trials end; None: all.
        threads: CPU threads a trial may use; None leaves it to the executor.
        least_trial_s: with less than this many seconds left no trial is started: it would come to nothing.
        started_at: ``time.time()`` from which the time limit counts; None: from ``Tuner(...)``.
        further_objectives: more to measure; `objective` is the first.
        constraints: what feasible configs keep to.
        max_losses: a trial under which so many workers died has failed, and does not start again.
    """

    objective: Objective
    num_trials: int | None = None
    time_limit_s: float | None = None
    seed: int = 0
    resume: bool = False
    keep_checkpoints: int | None = 5
    threads: int | None = None
    least_trial_s: float = 0.0
    started_at: float | None = None
    further_objectives: tuple[Objective, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    max_losses: int = 3

    def __post_init__(self) -> None:
        leasts = {"num_trials": 1, "keep_checkpoints": 0, "seed": 0, "threads": 1, "max_losses": 1}
        for name, least in leasts.items():
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), least)

    @property
    def goals(self) -> Goals:
        """All objectives and constraints."""
        return Goals((self.objective, *self.further_objectives), self.constraints)
