"""What a scheduler is: a pure state machine, an event in, actions out.

No clock, file or process in here: a run is replayed by feeding the same events again.
Scores are "larger is better" whatever the user's mode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class TrialReported:
    """A running trial has a new measurement; it waits for the answer."""

    trial_id: int
    resource: int
    score: float


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
    """A worker can take a job."""


Event = TrialReported | TrialFinished | TrialFailed | WorkerFree


@dataclass(frozen=True, slots=True)
class Start:
    """Start a new trial (the searcher gives its config). `to_resource`: pause there; None: to its end."""

    to_resource: int | None = None


@dataclass(frozen=True, slots=True)
class Resume:
    """Let a paused trial go on from its checkpoint."""

    trial_id: int
    to_resource: int | None = None


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

        * `WorkerFree`: at most one `Start` or `Resume`; nothing means "leave it idle for now".
        * `TrialReported`: exactly one `Continue`, `Pause` or `Stop` for that trial, and at will
          `Stop` for others.
        * `TrialFinished`, `TrialFailed`: usually nothing.
        """
        ...
