"""What an executor is: runs jobs somewhere, brings their messages, carries the answers back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

from autodl.trial import Config


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt at one trial.

    Attributes:
        trial_id: the trial's number.
        attempt: from 1; a trial whose worker died comes back with the next attempt.
        function: ``function(config, reporter)``; shipped by cloudpickle.
        config: the flat config.
        seed: the run's seed.
        checkpoint_dir: where the trial may write; the same directory in every attempt.
        threads: CPU threads the trial may use; None leaves the libraries' own choice.
        deadline: wall-clock moment (``time.time()``) at which the trial is cut; None: never.
        to_resource: pause the trial once it reported this resource; None: to its own end.
        done: highest resource that earlier attempts reported; 0 at first.
    """

    trial_id: int
    attempt: int
    function: Callable[[Config, Any], Any]
    config: Config
    seed: int
    checkpoint_dir: Path
    threads: int | None = None
    deadline: float | None = None
    to_resource: int | None = None
    done: int = 0


@dataclass(frozen=True, slots=True)
class Reported:
    """A trial measured itself and waits for a `Decision`."""

    trial_id: int
    attempt: int
    resource: int
    metrics: dict[str, float]
    worker: str = ""


@dataclass(frozen=True, slots=True)
class Finished:
    """The trial's function returned, or left at a STOP or PAUSE decision (`decision` says which)."""

    trial_id: int
    attempt: int
    decision: Decision
    worker: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """The trial's function raised. `reason`: one line; `traceback`: all of it."""

    trial_id: int
    attempt: int
    reason: str
    traceback: str
    worker: str = ""


@dataclass(frozen=True, slots=True)
class Lost:
    """The worker died under the trial. `reason`: what is known (exit code, signal)."""

    trial_id: int
    attempt: int
    reason: str


Message = Reported | Finished | Failed | Lost


class Decision(StrEnum):
    """The driver's answer to a report."""

    CONTINUE = "continue"
    PAUSE = "pause"
    STOP = "stop"


@runtime_checkable
class Executor(Protocol):
    """Runs jobs. Used as a context manager by the tuner: leaving it frees all workers.

    An executor may have a method ``clock() -> float``: the run's time in seconds, instead of
    ``time.time()``, for limits, journal and deadlines.

    One job a worker at a time. Messages of one trial arrive in order; nothing of a job comes
    after its `Finished`, `Failed` or `Lost`.
    """

    num_workers: int

    def submit(self, job: Job) -> None:
        """Take a job; the tuner never has more than `num_workers` under way."""
        ...

    def poll(self, handle: Callable[[Message], Decision], timeout_s: float) -> None:
        """Hand the messages that are there to `handle`, waiting up to `timeout_s` for the first.

        The decision `handle` returns for a `Reported` goes back to that trial, which waits for
        it; for other messages it is ignored. A serial executor runs a whole job inside `poll`.
        """
        ...

    def stop(self, trial_id: int) -> None:
        """End a running trial at its next report; a trial past its deadline is cut at once."""
        ...

    def shutdown(self, *, kill: bool = False) -> None:
        """Free the workers; with `kill`, without waiting for the jobs under way."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...
