"""What a scheduler is: a pure state machine, an event in, actions out.

No clock, file or process in here: a run is replayed by feeding the same events again.
Scores are "larger is better" whatever the user's mode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from autodl.spaces.base import Config
from autodl.spaces.search_space import SearchSpace


@dataclass(frozen=True, slots=True)
class TrialStarted:
    """A new trial takes its first job: the `Start` before was carried out, with this number and config."""

    trial_id: int
    config: Config


@dataclass(frozen=True, slots=True)
class TrialReported:
    """A running trial has a new measurement; it waits for the answer."""

    trial_id: int
    resource: int
    score: float


@dataclass(frozen=True, slots=True)
class TrialPaused:
    """A trial that was told to pause has freed its worker; from now on it may be resumed or stopped."""

    trial_id: int


@dataclass(frozen=True, slots=True)
class TrialFinished:
    """A trial came to its own end, or was stopped. `score`: its best, None if it never reported."""

    trial_id: int
    resource: int
    score: float | None


@dataclass(frozen=True, slots=True)
class TrialFailed:
    """A trial raised, or its worker died too often."""

    trial_id: int


@dataclass(frozen=True, slots=True)
class WorkerFree:
    """A worker can take a job. `can_start`: False once no new trial may start, only paused ones go on."""

    can_start: bool = True


Event = TrialStarted | TrialReported | TrialPaused | TrialFinished | TrialFailed | WorkerFree


@dataclass(frozen=True, slots=True)
class Start:
    """Start a new trial (the searcher gives its config). `to_resource`: pause there; None: to its end."""

    to_resource: int | None = None


@dataclass(frozen=True, slots=True)
class Resume:
    """Let a paused trial go on from its checkpoint, or from another trial's.

    Attributes:
        trial_id: a paused trial.
        to_resource: pause there; None: to its end.
        config: what it goes on with; None: its own. Same labels are the caller's business: what
            shapes the weights must stay if weights are to be loaded.
        copy_from: the trial whose last checkpoint replaces its own; it goes on after that
            checkpoint's epoch, and what it reports from there on is new.
    """

    trial_id: int
    to_resource: int | None = None
    config: Config | None = None
    copy_from: int | None = None


@dataclass(frozen=True, slots=True)
class Continue:
    """Let the trial that reported run on."""

    trial_id: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Free the trial's worker; its checkpoint stays, `Resume` may follow."""

    trial_id: int


@dataclass(frozen=True, slots=True)
class Stop:
    """End the trial early, for good."""

    trial_id: int


Action = Start | Resume | Continue | Pause | Stop


@runtime_checkable
class Scheduler(Protocol):
    """Decides how much resource each trial gets."""

    def handle(self, event: Event) -> Sequence[Action]:
        """Answer one event.

        * `WorkerFree`: at most one `Start` or `Resume`; nothing means "leave it idle for now". A
          `Start` may come to nothing, for the searcher can be at its end; a worker that is free is
          then offered again with ``can_start=False``. What was started is told by `TrialStarted`.
        * `TrialReported`: exactly one `Continue`, `Pause` or `Stop` for that trial, and at will
          `Stop` for others.
        * `TrialPaused`, `TrialFinished`, `TrialFailed`: usually nothing; at will `Stop` for others.
        * `TrialStarted`: nothing.
        """
        ...


@runtime_checkable
class BindableScheduler(Scheduler, Protocol):
    """A scheduler that changes configs and wants to know their space. Optional."""

    def bind(self, space: SearchSpace, *, seed: int) -> None:
        """Called once, before the first event.

        Args:
            space: what configs must belong to.
            seed: the run's seed; draw from it and from trials' numbers, never from a global.
        """
        ...
