"""A cluster that exists on paper: thousands of workers, a virtual clock, no waiting.

Events in the order of their time: the next one is taken, the clock jumps to it, the driver decides.
What a decision costs in real time is not charged to the virtual clock.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np

from autodl.checks import check_whole
from autodl.errors import OptionError, TrialError
from autodl.executors.protocol import Decision, Failed, Finished, Job, Lost, Message, Reported
from autodl.executors.runner import failed_message
from autodl.executors.simulated_objectives import SimulatedObjective

Handle = Callable[[Message], Decision]


@dataclass(slots=True)
class _Run:
    """A job under way."""

    job: Job
    worker: int
    epoch: int  # the last one reported
    stopping: bool = False
    slowness: float = 1.0  # durations are multiplied by it
    fails_at: int | None = None  # the epoch in which the trial raises
    rng: np.random.Generator | None = None  # of this attempt's lost workers


class SimulatedExecutor:
    """Runs trials against an objective that knows their results and durations.

    The run's clock is the executor's: time limits, journal and leaderboard are in simulated
    seconds. A trial that was paused, or whose worker died, goes on after its last report, as if it had
    saved there. The same seed gives the same run. What a trial reports depends on its config and epoch
    alone: weights that population based training copies are not modelled. See `autodl.simulate` for
    the one-call form.

    Args:
        objective: what an epoch of a config reports and how long it takes.
        num_workers: trials that run at once.
        seed: fixes stragglers, failures and lost workers.
        stragglers: standard deviation of the logarithm of an attempt's slowness (lognormal with
            median 1, drawn for each attempt); 0: all workers are as fast as the objective says.
        failure_rate: share of trials that would raise on their way, at an epoch drawn at random.
        loss_rate: chance that the worker dies during an epoch.
        start_s: simulated seconds before a new trial's first epoch (imports, data).
        resume_s: simulated seconds before a trial goes on (a checkpoint is read).

    Raises:
        OptionError: an argument is not allowed.

    Example:
        >>> from autodl.executors.simulated_objectives import FunctionObjective
        >>> from autodl.spaces import Real
        >>> from autodl.simulation import simulate
        >>> square = FunctionObjective(lambda config, resource: config["x"] ** 2, seconds=60)
        >>> simulate(square, {"x": Real(-1, 1)}, metric="loss", searcher="random", num_trials=8).seconds
        120.0
    """

    def __init__(  # noqa: PLR0913  # a cluster has as many properties
        self,
        objective: SimulatedObjective,
        num_workers: int = 4,
        *,
        seed: int = 0,
        stragglers: float = 0.0,
        failure_rate: float = 0.0,
        loss_rate: float = 0.0,
        start_s: float = 0.0,
        resume_s: float = 0.0,
    ) -> None:
        check_whole("num_workers", num_workers)
        if not isinstance(objective, SimulatedObjective):
            raise OptionError(f"objective must have max_resource and evaluate, got {objective!r}")
        for name, value, most in (
            ("stragglers", stragglers, math.inf),
            ("failure_rate", failure_rate, 1.0),
            ("loss_rate", loss_rate, 1.0),
            ("start_s", start_s, math.inf),
            ("resume_s", resume_s, math.inf),
        ):
            if not (0 <= value <= most and math.isfinite(value)):
                raise OptionError(f"{name} must be a number from 0 to {most}, got {value!r}")
        self.objective = objective
        self.num_workers = num_workers
        self._seed = seed
        self._stragglers, self._failure_rate, self._loss_rate = stragglers, failure_rate, loss_rate
        self._start_s, self._resume_s = start_s, resume_s
        self._now = 0.0
        self._order = itertools.count()  # of events at the same time
        self._events: list[tuple[float, int, _Run, Message]] = []
        self._runs: dict[int, _Run] = {}
        self._free = list(range(num_workers))  # a heap: the lowest number works first

    def clock(self) -> float:
        """The virtual time in seconds, from 0 when the executor was made. The tuner reads it."""
        return self._now

    # ------------------------------------------------------------------ Executor

    def submit(self, job: Job) -> None:
        """Give the job to a free worker, now.

        Raises:
            RuntimeError: no worker is free.
        """
        if not self._free:
            raise RuntimeError(f"all {self.num_workers} workers are busy")
        run = _Run(job, heapq.heappop(self._free), job.done)
        self._disturb(run)
        self._runs[job.trial_id] = run
        self._schedule(run, self._start_s if job.attempt == 1 else self._resume_s)

    def poll(self, handle: Handle, timeout_s: float) -> None:
        """Let the next thing happen; the clock jumps there. Never waits."""
        if not self._events:
            return
        self._now, _, run, message = heapq.heappop(self._events)
        if isinstance(message, Reported):
            run.epoch = message.resource
            decision = handle(message)
            if run.stopping:
                decision = Decision.STOP
            if decision is Decision.CONTINUE:
                self._schedule(run, 0.0)
                return
            message = Finished(message.trial_id, message.attempt, decision, message.worker)
            if self._runs.get(message.trial_id) is not run:
                return  # `shutdown` was called by the driver
        del self._runs[message.trial_id]
        heapq.heappush(self._free, run.worker)
        handle(message)

    def stop(self, trial_id: int) -> None:
        """End the job at its next report."""
        if trial_id in self._runs:
            self._runs[trial_id].stopping = True

    def shutdown(self, *, kill: bool = False) -> None:
        """Forget the jobs under way; the clock stays."""
        self._events.clear()
        self._runs.clear()
        self._free = list(range(self.num_workers))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.shutdown(kill=True)

    # ------------------------------------------------------------------ what happens next

    def _disturb(self, run: _Run) -> None:
        """Draw what this attempt has to suffer."""
        job = run.job
        if self._failure_rate:  # the trial's, not the attempt's: a bug does not go away by a restart
            rng = np.random.default_rng((self._seed, job.trial_id))
            if rng.random() < self._failure_rate:
                run.fails_at = int(rng.integers(1, self.objective.max_resource + 1))
        if self._stragglers or self._loss_rate:
            run.rng = np.random.default_rng((self._seed, job.trial_id, job.attempt))
            run.slowness = math.exp(self._stragglers * run.rng.standard_normal())

    def _schedule(self, run: _Run, wait_s: float) -> None:
        """Find out what a run does next, and when."""
        job = run.job
        message, seconds = self._epoch(run)
        at = self._now + wait_s + seconds * run.slowness
        if self._loss_rate and run.rng is not None and isinstance(message, Reported):
            dies, when = run.rng.random(2)
            if dies < self._loss_rate:
                message = Lost(job.trial_id, job.attempt, "the simulated worker died")
                at = self._now + (at - self._now) * float(when)
        if job.deadline is not None and at > job.deadline:
            message = Finished(job.trial_id, job.attempt, Decision.STOP, f"sim-{run.worker}")
            at = max(self._now, job.deadline)
        heapq.heappush(self._events, (at, next(self._order), run, message))

    def _epoch(self, run: _Run) -> tuple[Message, float]:
        """The message that a run's next epoch ends with, and the seconds until then."""
        job, resource, worker = run.job, run.epoch + 1, f"sim-{run.worker}"
        if resource > self.objective.max_resource:
            return Finished(job.trial_id, job.attempt, Decision.CONTINUE, worker), 0.0
        try:
            metrics, seconds = self.objective.evaluate(job.config, resource)
            if not (math.isfinite(seconds) and seconds >= 0):
                raise TrialError(f"an epoch's seconds must be a number >= 0, got {seconds!r}")
        except Exception as error:  # as in a real worker: it is the trial that fails
            return failed_message(job, error, worker), 0.0
        if resource == run.fails_at:
            return Failed(job.trial_id, job.attempt, "a simulated failure", "", worker), seconds
        return Reported(job.trial_id, job.attempt, resource, metrics, worker), seconds
