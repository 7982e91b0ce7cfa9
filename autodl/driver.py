"""The driver: joins searcher, scheduler, executor and journal, and keeps the run's promises.

All decisions are `SearchState`'s; here are the clock, the files and the workers.
"""

from __future__ import annotations

import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autodl.callbacks import Callbacks
from autodl.errors import AllTrialsFailedError, JournalError, OptionError, WorkerLostError
from autodl.executors.protocol import Decision, Executor, Failed, Finished, Job, Lost, Message, Reported
from autodl.interrupt import InterruptGuard
from autodl.replay import Replay, check_header, header
from autodl.result import TuneResult
from autodl.rundir import RunDirectory
from autodl.schedulers.protocol import Scheduler
from autodl.search_state import Idle, Launch, Objective, SearchState
from autodl.searchers.protocol import BindableSearcher, Searcher
from autodl.spaces.search_space import SearchSpace
from autodl.trial import Config, Trial, TrialState

MAX_LOSSES = 3
"""Workers that may die under one trial before it counts as failed."""
MAX_FAILURES_AT_START = 30
"""The run ends when its first so many trials all fail: the function is broken, not the configs."""
POLL_S = 0.2
CUT_GRACE_S = 1.0
"""How long past the deadline the driver waits for workers to be cut, before it frees them all."""

Function = Callable[[Config, Any], Any]


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
        started_at: ``time.time()`` from which the time limit counts; None: from ``Tuner(...)``.
    """

    objective: Objective
    num_trials: int | None = None
    time_limit_s: float | None = None
    seed: int = 0
    resume: bool = False
    keep_checkpoints: int | None = 5
    threads: int | None = None
    started_at: float | None = None

    def __post_init__(self) -> None:
        _check_count("num_trials", self.num_trials, 1)
        _check_count("keep_checkpoints", self.keep_checkpoints, 0)
        _check_count("seed", self.seed, 0)


class Tuner:
    """Runs a search from start to end; `autodl.tune` is the same in one call.

    It is also what callbacks get as ``run`` (a `autodl.report.view.RunView`).

    Args:
        function: ``function(config, reporter)``, run for each trial.
        space: what configs belong to; None: the searcher's configs are taken as they come.
        searcher: proposes configs.
        scheduler: decides how long trials run.
        executor: runs trials; its workers are freed at the end.
        options: limits and seed.
        path: the run's directory; None: a temporary one, removed at exit.
        callbacks: see `autodl.callbacks`.

    Raises:
        RunExistsError: the path holds a run and ``options.resume`` is not set.
        JournalError: the run at the path has other settings, or another process writes to it.
    """

    def __init__(  # noqa: PLR0913  # one argument for each part that can be swapped
        self,
        function: Function,
        space: SearchSpace | None,
        *,
        searcher: Searcher,
        scheduler: Scheduler,
        executor: Executor,
        options: RunOptions,
        path: str | Path | None = None,
        callbacks: Iterable[object] = (),
    ) -> None:
        self._started_at = time.time() if options.started_at is None else options.started_at
        limit = options.time_limit_s
        self._deadline = None if limit is None else self._started_at + limit
        self._function = function
        self._space = space
        self._searcher = searcher
        self._options = options
        self._executor = executor
        self._callbacks = Callbacks(callbacks)
        self._header = header(space, searcher, scheduler, options.objective, options.seed)
        self._state = SearchState(space, searcher, scheduler, options.objective, options.num_trials)
        self._directory = RunDirectory(path, options.keep_checkpoints)
        self._guard = InterruptGuard()
        self._running: dict[int, Job] = {}
        self._requeued: deque[Launch] = deque()
        self._idle: Idle | None = None  # the last answer for a free worker, until something happens
        self._failed = 0  # in this session
        self._before_s = 0.0  # the run's clock at the end of earlier sessions

    # ------------------------------------------------------------------ RunView

    @property
    def trials(self) -> list[Trial]:
        """All trials so far, by number."""
        return self._state.trials

    @property
    def metric(self) -> str:
        """The metric's name."""
        return self._options.objective.metric

    @property
    def mode(self) -> str:
        """``"min"`` or ``"max"``."""
        return self._options.objective.mode

    @property
    def num_trials(self) -> int | None:
        """How many trials are planned, None without a limit."""
        return self._options.num_trials

    @property
    def time_limit_s(self) -> float | None:
        """Seconds this call may take, None without a limit."""
        return self._options.time_limit_s

    @property
    def elapsed_s(self) -> float:
        """Seconds since the run's start, earlier sessions included."""
        return self._before_s + time.time() - self._started_at

    @property
    def num_workers(self) -> int:
        """How many trials may run at once."""
        return self._executor.num_workers

    @property
    def path(self) -> Path:
        """The run's directory."""
        return self._directory.path

    # ------------------------------------------------------------------ the run

    def run(self) -> TuneResult:
        """Search until trials, time or proposals are used up, or Ctrl-C.

        Raises:
            AllTrialsFailedError: no trial ever reported the metric, and at least one failed.
        """
        if isinstance(self._searcher, BindableSearcher) and self._space is not None:
            self._searcher.bind(self._space, seed=self._options.seed)
        events = self._directory.open(resume=self._options.resume)
        try:
            self._begin(events)
            self._callbacks.emit("on_run_start", self)
            with self._guard, self._executor:
                stopped_by = self._search()
            self._finish(stopped_by)
        finally:
            self._directory.close()
        self._callbacks.emit("on_run_end", self)
        return self._result(stopped_by)

    def _begin(self, events: list[dict[str, Any]]) -> None:
        if not events:
            self._directory.write(self._header)
            return
        check_header(events[0], self._header, self._directory.journal_path)
        replayed = Replay(self._state).run(events[1:])
        self._before_s = replayed.elapsed_s
        if replayed.divergence is not None:
            warnings.warn(
                f"resuming {self.path}: {replayed.divergence}. The journal is kept, but the run goes on "
                "otherwise than it would have: changed code or settings, or a searcher that draws from a "
                "generator of its own",
                RuntimeWarning,
                stacklevel=3,
            )
        for trial in self._state.trials:
            if trial.state.ended:
                self._directory.trial_ended(trial)
        for trial in self._state.running:
            if self._state.decision(trial.trial_id) is Decision.CONTINUE:
                self._requeue(trial.trial_id, lost=None)
            else:  # it was told to end, and the driver died before it did
                self._settle(trial.trial_id, None)

    def _search(self) -> str:
        try:
            stopped_by = self._loop()
        except KeyboardInterrupt:
            stopped_by = "interrupted"
        except JournalError as error:
            if self._state.num_scored == 0:
                raise
            stopped_by = "journal"
            warnings.warn(f"the run ended early: {error}", RuntimeWarning, stacklevel=3)
        if self._running:
            self._executor.shutdown(kill=True)
        return stopped_by

    def _loop(self) -> str:
        while not self._is_late():
            self._fill()
            if self._guard.interrupted:
                return "interrupted"
            if self._failed >= MAX_FAILURES_AT_START and self._state.num_scored == 0:
                return "exhausted"
            if not self._running:
                if self._is_late():
                    break
                return "num_trials" if self._idle == Idle("num_trials") else "exhausted"
            self._poll(self._left_s(POLL_S))
        while self._running and not self._is_late(CUT_GRACE_S):
            self._poll(POLL_S / 4)
        return "time_limit"

    def _poll(self, timeout_s: float) -> None:
        with self._guard.outside():
            self._executor.poll(self._handle, timeout_s)

    def _is_late(self, grace_s: float = 0.0) -> bool:
        return self._deadline is not None and time.time() >= self._deadline + grace_s

    def _left_s(self, at_most: float) -> float:
        return at_most if self._deadline is None else min(at_most, max(0.0, self._deadline - time.time()))

    # ------------------------------------------------------------------ starting jobs

    def _fill(self) -> None:
        while len(self._running) < self._executor.num_workers and not self._is_late():
            launch = self._requeued.popleft() if self._requeued else self._propose()
            if launch is None:
                return
            self._submit(launch)

    def _propose(self) -> Launch | None:
        """A new launch; asked once after each thing that happened, since nothing else changes the answer."""
        if self._idle is not None:
            return None
        proposal = self._state.propose()
        if isinstance(proposal, Idle):
            self._idle = proposal
            self._directory.write({"event": "idle", "why": proposal.why, "s": self._clock()})
            return None
        event = {
            "event": "start" if proposal.is_new else "resume",
            "trial": proposal.trial_id,
            "config": proposal.config,
            "to": proposal.to_resource,
            "s": self._clock(),
        }
        if not proposal.is_new:
            del event["config"]
        self._directory.write(event)
        self._state.launch(proposal, event["s"])
        return proposal

    def _submit(self, launch: Launch) -> None:
        trial = self.trials[launch.trial_id]
        decision = self._state.decision(trial.trial_id)
        if decision is not Decision.CONTINUE:  # stopped while it waited for a worker
            self._settle(trial.trial_id, None)
            return
        job = Job(
            trial.trial_id,
            trial.attempt,
            self._function,
            trial.config,
            self._options.seed,
            self._directory.trial_dir(trial.trial_id),
            threads=self._options.threads,
            deadline=self._deadline,
            to_resource=launch.to_resource,
        )
        self._running[trial.trial_id] = job
        self._callbacks.emit("on_trial_start", trial)
        self._executor.submit(job)

    # ------------------------------------------------------------------ messages

    def _handle(self, message: Message) -> Decision:
        with self._guard.inside():
            job = self._running.get(message.trial_id)
            if job is None or job.attempt != message.attempt:
                return Decision.STOP  # an attempt that was given up
            if isinstance(message, Reported):
                return self._on_report(message)
            del self._running[message.trial_id]
            self._idle = None
            if isinstance(message, Lost):
                self._on_lost(message)
            else:
                self._on_end(message)
            return Decision.STOP

    def _on_report(self, message: Reported) -> Decision:
        trial_id = message.trial_id
        verdict = self._state.report(trial_id, message.resource, message.metrics, message.worker)
        if verdict.report is not None:
            self._idle = None
            event = {
                "event": "report",
                "trial": trial_id,
                "attempt": message.attempt,
                "resource": message.resource,
                "metrics": message.metrics,
                "decision": verdict.decision.value,
                "worker": message.worker,
                "s": self._clock(),
            }
            self._directory.write(event)
            self._callbacks.emit("on_report", self.trials[trial_id], verdict.report)
            self._stop(verdict.stops)
        if self._guard.interrupted or self._is_late():
            return Decision.STOP  # a cut, which the state does not know of: a resumed run goes on
        return verdict.decision

    def _on_end(self, message: Finished | Failed) -> None:
        trial_id = message.trial_id
        told = self._state.decision(trial_id)
        left_early = isinstance(message, Failed) or message.decision is not Decision.CONTINUE
        if told is Decision.CONTINUE and left_early and self._is_over():
            self._cut(trial_id)
            return
        self.trials[trial_id].worker = message.worker
        error = f"{message.reason}\n\n{message.traceback}" if isinstance(message, Failed) else None
        self._settle(trial_id, error)

    def _on_lost(self, message: Lost) -> None:
        trial_id = message.trial_id
        if self._state.decision(trial_id) is not Decision.CONTINUE:
            self._settle(trial_id, None)  # it was on its way out
        elif self._state.losses(trial_id) + 1 >= MAX_LOSSES:
            error = WorkerLostError(f"the worker died under the trial {MAX_LOSSES} times: {message.reason}")
            self._settle(trial_id, f"WorkerLostError: {error}")
        else:
            self._requeue(trial_id, lost=message.reason)

    def _is_over(self) -> bool:
        return self._guard.interrupted or self._is_late()

    def _requeue(self, trial_id: int, *, lost: str | None) -> None:
        launch = self._state.requeue(trial_id, lost=lost is not None)
        event: dict[str, Any] = {"event": "requeue", "trial": trial_id, "s": self._clock()}
        if lost is not None:
            event |= {"event": "lost", "reason": lost}
        self._directory.write(event)
        self._requeued.append(launch)

    def _settle(self, trial_id: int, error: str | None) -> None:
        """Carry out a trial's pause or end."""
        now_s = self._clock()
        trial, stops = self._state.settle(trial_id, error, now_s)
        if trial.state is TrialState.PAUSED:
            self._directory.write({"event": "pause", "trial": trial_id, "s": now_s})
            return
        event = {"event": "end", "trial": trial_id, "state": trial.state.value, "s": now_s}
        if trial.error is not None:
            event["error"] = trial.error
        self._directory.write(event)
        self._failed += trial.state is TrialState.FAILED
        self._directory.trial_ended(trial)
        self._callbacks.emit("on_trial_end", trial)
        self._stop(stops)

    def _stop(self, trial_ids: tuple[int, ...]) -> None:
        for trial_id in trial_ids:
            if trial_id in self._running:
                self._executor.stop(trial_id)
            elif self.trials[trial_id].state is TrialState.PAUSED:
                self._settle(trial_id, None)

    # ------------------------------------------------------------------ the end

    def _cut(self, trial_id: int) -> None:
        """The run ends over a trial. Only noted: a resumed run lets it go on."""
        trial = self.trials[trial_id]
        trial.state, trial.ended_s = TrialState.STOPPED, self.elapsed_s
        self._directory.try_write({"event": "cut", "trial": trial_id, "s": self._clock()})
        self._callbacks.emit("on_trial_end", trial)

    def _finish(self, stopped_by: str) -> None:
        for trial in self._state.running:
            self._cut(trial.trial_id)
        self._directory.try_write({"event": "done", "stopped_by": stopped_by, "s": self._clock()})

    def _result(self, stopped_by: str) -> TuneResult:
        failed = [trial for trial in self.trials if trial.state is TrialState.FAILED]
        if failed and self._state.num_scored == 0:
            raise AllTrialsFailedError(
                f"all {len(failed)} trials that ended failed; the first, trial {failed[0].trial_id} with "
                f"{failed[0].config}:\n{failed[0].error}"
            )
        return TuneResult(
            self.trials, self.metric, self.mode, self.path, self.elapsed_s, self._space, stopped_by
        )

    def _clock(self) -> float:
        return round(self.elapsed_s, 4)


def _check_count(name: str, value: object, least: int) -> None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
        raise OptionError(f"{name} must be a whole number >= {least}, got {value!r}")
