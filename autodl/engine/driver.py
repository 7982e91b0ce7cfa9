"""The driver: joins searcher, scheduler, executor and journal, and keeps the run's promises.

All decisions are `SearchState`'s; here are the clock, the files and the workers.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from autodl.engine.callbacks import Callbacks
from autodl.engine.dispatch import Clock, Dispatcher, Function
from autodl.engine.interrupt import InterruptGuard
from autodl.engine.replay import Replay, check_header, header
from autodl.engine.run_directory import RunDirectory
from autodl.engine.state import SearchState
from autodl.engine.types import Idle, RunOptions
from autodl.errors import AllTrialsFailedError, JournalError, WorkerLostError
from autodl.executors.protocol import Decision, Executor, Message
from autodl.objectives import Goals
from autodl.result import TuneResult
from autodl.schedulers.protocol import BindableScheduler, Scheduler
from autodl.searchers.protocol import BindableSearcher, GoalSearcher, Searcher
from autodl.spaces.search_space import SearchSpace
from autodl.trial import Trial, TrialState

MAX_FAILURES_AT_START = 30
"""The run ends when its first so many trials all fail: the function is broken, not the configs."""
POLL_S = 0.2
CUT_GRACE_S = 1.0
"""How long past the deadline the driver waits for workers to be cut, before it frees them all."""


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
        callbacks: see `autodl.engine.callbacks`.

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
        virtual: Callable[[], float] | None = getattr(executor, "clock", None)
        self._clock = time.time if virtual is None else virtual
        # `started_at` is of the real clock: an executor with a time of its own starts when asked.
        given = options.started_at if virtual is None else None
        self._started_at = self._clock() if given is None else given
        limit = options.time_limit_s
        self._deadline = None if limit is None else self._started_at + limit
        self._space = space
        self._searcher = searcher
        self._scheduler = scheduler
        self._options = options
        self._executor = executor
        self._callbacks = Callbacks(callbacks)
        self._header = header(space, searcher, scheduler, options.goals, options.seed)
        self._state = SearchState(space, searcher, scheduler, options.goals, options.num_trials)
        self._directory = RunDirectory(path, options.keep_checkpoints)
        self._guard = InterruptGuard()
        self._before_s = 0.0  # the run's clock at the end of earlier sessions
        clock = Clock(lambda: self.elapsed_s, self._is_over, self._is_closing, self._deadline)
        self._dispatcher = Dispatcher(
            function, self._state, executor, self._directory, self._callbacks, options, clock
        )

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
    def goals(self) -> Goals:
        """All objectives and constraints."""
        return self._options.goals

    @property
    def num_trials(self) -> int | None:
        """How many trials are planned, None without a limit."""
        return self._options.num_trials

    @property
    def time_limit_s(self) -> float | None:
        """Seconds the run may take, None without a limit; earlier sessions' come on top of the option."""
        limit_s = self._options.time_limit_s
        return None if limit_s is None else self._before_s + limit_s

    @property
    def elapsed_s(self) -> float:
        """Seconds since the run's start, earlier sessions included."""
        return self._before_s + self._clock() - self._started_at

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
            KeyboardInterrupt: Ctrl-C was pressed twice; the first ends the run with what it has.
        """
        if isinstance(self._searcher, GoalSearcher):
            self._searcher.bind_objectives(self._options.goals)
        if isinstance(self._searcher, BindableSearcher) and self._space is not None:
            self._searcher.bind(self._space, seed=self._options.seed)
        if isinstance(self._scheduler, BindableScheduler) and self._space is not None:
            self._scheduler.bind(self._space, seed=self._options.seed)
        events = self._directory.open(resume=self._options.resume)
        try:
            self._begin(events)
            self._callbacks.emit("on_run_start", self)
            try:
                with self._guard, self._executor:
                    stopped_by = self._search()
            finally:  # a display that was switched on is switched off, whatever happened
                self._finish()
                self._callbacks.emit("on_run_end", self)
            self._directory.try_write(
                {"event": "done", "stopped_by": stopped_by, "s": round(self.elapsed_s, 4)}
            )
        finally:
            self._directory.close()
        return self._result(stopped_by)

    def _begin(self, events: list[dict[str, Any]]) -> None:
        """Write the header, or rebuild the state from the journal."""
        if not events:
            self._directory.write(self._header)
            return
        check_header(events[0], self._header, self._directory.journal_path)
        replayed = Replay(self._state).run(events[1:])
        self._before_s = replayed.elapsed_s - (self._clock() - self._started_at)
        if replayed.divergence is not None:
            warnings.warn(
                f"resuming {self.path}: {replayed.divergence}. The journal is kept, but the run goes on "
                "otherwise than it would have: changed code or settings, or a searcher that draws from a "
                "generator of its own",
                RuntimeWarning,
                stacklevel=4,
            )
        for trial in self.trials:
            if trial.state.ended:
                self._directory.trial_ended(trial)
        for trial in self._state.unended:
            if trial.state is TrialState.PAUSED:
                self._directory.drop_copy(trial.trial_id)
                continue
            self._directory.apply_copy(trial.trial_id)
            if self._state.decision(trial.trial_id) is Decision.CONTINUE:
                self._dispatcher.requeue(trial.trial_id, lost=None)
            else:  # it was told to end, and the driver died before it did
                self._dispatcher.settle(trial.trial_id, None)

    def _search(self) -> str:
        try:
            stopped_by = self._loop()
        except KeyboardInterrupt:
            if self._guard.presses > 1:
                raise
            stopped_by = "interrupted"
        except (JournalError, WorkerLostError) as error:
            if self._state.num_scored == 0:
                raise
            stopped_by = "journal" if isinstance(error, JournalError) else "workers_lost"
            warnings.warn(f"the run ended early: {error}", RuntimeWarning, stacklevel=4)
        if self._dispatcher.running:
            self._executor.shutdown(kill=True)
        return stopped_by

    def _loop(self) -> str:
        dispatcher = self._dispatcher
        while not self._is_late():
            dispatcher.fill()
            if self._guard.interrupted:
                return "interrupted"
            if dispatcher.num_failed >= MAX_FAILURES_AT_START and self._state.num_scored == 0:
                return "exhausted"
            if not dispatcher.running and not self._is_waiting_for_workers():
                if dispatcher.idle is None:  # nobody was asked for a trial: it is too late for one
                    return "time_limit"
                return "num_trials" if dispatcher.idle == Idle("num_trials") else "exhausted"
            self._poll(POLL_S)
        while dispatcher.running and not self._is_late(CUT_GRACE_S):
            self._poll(POLL_S / 4)
        return "time_limit"

    def _is_waiting_for_workers(self) -> bool:
        """True if there may be work and no worker took it: a cluster had none.

        Its executor knows when to give up. Whether it has workers now is another question.
        """
        return self._dispatcher.idle is None and not self._is_closing()

    def _poll(self, timeout_s: float) -> None:
        if self._deadline is not None and not self._is_late():
            timeout_s = min(timeout_s, max(0.0, self._deadline - self._clock()))
        with self._guard.outside():
            self._executor.poll(self._handle, timeout_s)

    def _handle(self, message: Message) -> Decision:
        with self._guard.inside():
            return self._dispatcher.handle(message)

    def _is_late(self, grace_s: float = 0.0) -> bool:
        return self._deadline is not None and self._clock() >= self._deadline + grace_s

    def _is_closing(self) -> bool:
        return self._is_late(-self._options.least_trial_s)

    def _is_over(self) -> bool:
        return self._guard.interrupted or self._is_late()

    def _finish(self) -> None:
        """Trials that still run, or wait for a turn that did not come, end with the run."""
        for trial in self._state.unended:
            self._dispatcher.cut(trial.trial_id)

    def _result(self, stopped_by: str) -> TuneResult:
        failed = [trial for trial in self.trials if trial.state is TrialState.FAILED]
        if failed and self._state.num_scored == 0:
            raise AllTrialsFailedError(
                f"all {len(failed)} trials that ended failed; the first, trial {failed[0].trial_id} with "
                f"{failed[0].config}:\n{failed[0].error}"
            )
        return TuneResult(
            self.trials,
            self.metric,
            self.mode,
            self.path,
            self.elapsed_s,
            self._space,
            stopped_by,
            self.goals,
        )
