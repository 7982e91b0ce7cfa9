"""Jobs out, messages in: carries out what `SearchState` decides and journals it."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from autodl.engine.callbacks import Callbacks
from autodl.engine.run_directory import RunDirectory
from autodl.engine.state import SearchState
from autodl.engine.types import Idle, Launch, RunOptions
from autodl.executors.protocol import Decision, Executor, Failed, Finished, Job, Lost, Message, Reported
from autodl.trial import Config, Trial, TrialState

Function = Callable[[Config, Any], Any]


@dataclass(frozen=True, slots=True)
class Clock:
    """What the dispatcher may know of time.

    Attributes:
        elapsed_s: seconds since the run's start, earlier sessions included.
        is_over: True once the run ends: deadline or Ctrl-C.
        is_closing: True once too little time is left to start a trial.
        deadline: moment of the executor's clock (``time.time()``) at which jobs are cut; None: never.
    """

    elapsed_s: Callable[[], float]
    is_over: Callable[[], bool]
    is_closing: Callable[[], bool]
    deadline: float | None


class Dispatcher:
    """Starts jobs while workers are free and answers their messages.

    An event is journaled after it was decided and before anything outside learns of it: whenever
    the driver dies, what the journal lacks has not happened.

    Args:
        function: run for each trial.
        state: decides.
        executor: runs jobs.
        directory: journal and trials' folders.
        callbacks: hooks.
        options: seed and threads of the jobs.
        clock: the time.
    """

    def __init__(  # the engine's parts, joined here and nowhere else
        self,
        function: Function,
        state: SearchState,
        executor: Executor,
        directory: RunDirectory,
        callbacks: Callbacks,
        options: RunOptions,
        clock: Clock,
    ) -> None:
        self.running: dict[int, Job] = {}
        self.idle: Idle | None = None  # the last answer for a free worker, until something happens
        self.num_failed = 0  # in this session
        self._warned = False
        self._function = function
        self._state = state
        self._executor = executor
        self._directory = directory
        self._callbacks = callbacks
        self._options = options
        self._clock = clock
        self._requeued: deque[Launch] = deque()

    # ------------------------------------------------------------------ starting jobs

    def fill(self) -> None:
        """Give every free worker a job, as far as there are any."""
        while len(self.running) < self._executor.num_workers and not self._clock.is_over():
            launch = self._requeued.popleft() if self._requeued else self._propose()
            if launch is None:
                return
            self._submit(launch)

    def _propose(self) -> Launch | None:
        """Ask for a launch, once after each thing that happened: nothing else changes the answer."""
        if self.idle is not None or self._clock.is_closing():
            return None
        is_full = self._state.is_full
        proposal = self._state.propose(is_full=is_full)
        now_s = self._now_s()
        if isinstance(proposal, Idle):
            self.idle = proposal
            self._directory.write({"event": "idle", "why": proposal.why, "s": now_s})
            return None
        self._directory.write(self._launch_event(proposal, now_s, is_full=is_full))
        self._state.launch(proposal, now_s)
        return proposal

    def _launch_event(self, launch: Launch, now_s: float, *, is_full: bool) -> dict[str, Any]:
        """What the journal keeps of a launch; the weights it copies are set aside first."""
        event = {"event": "resume", "trial": launch.trial_id, "to": launch.to_resource, "s": now_s}
        if launch.is_new:
            return event | {"event": "start", "config": launch.config}
        if launch.config != self._state.trials[launch.trial_id].config:
            event["config"] = launch.config
        if launch.copy_from is not None:
            event["copy_from"] = launch.copy_from
            if not self._directory.stage_copy(launch.copy_from, launch.trial_id):
                self._warn_of_no_weights(launch.copy_from)
        if is_full:
            event["full"] = True
        return event

    def _warn_of_no_weights(self, source: int) -> None:
        """Once a run; a simulated trial has no weights that could be missed."""
        if self._warned or hasattr(self._executor, "clock"):
            return
        self._warned = True
        warnings.warn(
            f"the scheduler copies the weights of trial {source}, which saved none: only its config is "
            "copied, and trials start again from nothing. Call reporter.save(...) before reporter(...)",
            RuntimeWarning,
            stacklevel=2,
        )

    def _submit(self, launch: Launch) -> None:
        trial = self._state.trials[launch.trial_id]
        done = trial.resource
        if launch.copy_from is not None:
            self._directory.apply_copy(launch.trial_id)
            done = self._state.trials[launch.copy_from].resource
        if self._state.decision(trial.trial_id) is not Decision.CONTINUE:
            self.settle(trial.trial_id, None)  # stopped while it waited for a worker
            return
        job = Job(
            trial.trial_id,
            trial.attempt,
            self._function,
            trial.config,
            self._options.seed,
            self._directory.trial_dir(trial.trial_id),
            threads=self._options.threads,
            deadline=self._clock.deadline,
            to_resource=launch.to_resource,
            done=done,
        )
        self.running[trial.trial_id] = job
        self._callbacks.emit("on_trial_start", trial)
        self._executor.submit(job)

    # ------------------------------------------------------------------ messages

    def handle(self, message: Message) -> Decision:
        """Answer an executor's message; see `autodl.executors.protocol.Executor.poll`."""
        job = self.running.get(message.trial_id)
        if job is None or job.attempt != message.attempt:
            return Decision.STOP  # an attempt that was given up
        if isinstance(message, Reported):
            return self._on_report(message)
        del self.running[message.trial_id]
        self.idle = None
        if isinstance(message, Lost):
            self._on_lost(message)
        else:
            self._on_end(message)
        return Decision.STOP

    def _on_report(self, message: Reported) -> Decision:
        trial_id = message.trial_id
        verdict = self._state.report(trial_id, message.resource, message.metrics, message.worker)
        if verdict.report is not None:
            self.idle = None
            event = {
                "event": "report",
                "trial": trial_id,
                "attempt": message.attempt,
                "resource": message.resource,
                "metrics": message.metrics,
                "decision": verdict.decision.value,
                "worker": message.worker,
                "s": self._now_s(),
            }
            self._directory.write(event)
            self._callbacks.emit("on_report", self._state.trials[trial_id], verdict.report)
            self._stop(verdict.stops)
        if self._clock.is_over():
            return Decision.STOP  # a cut, which the state does not know of: a resumed run goes on
        return verdict.decision

    def _on_end(self, message: Finished | Failed) -> None:
        trial_id = message.trial_id
        told = self._state.decision(trial_id)
        left_early = isinstance(message, Failed) or message.decision is not Decision.CONTINUE
        if told is Decision.CONTINUE and left_early and self._clock.is_over():
            self.cut(trial_id)
            return
        self._state.trials[trial_id].worker = message.worker
        error = f"{message.reason}\n\n{message.traceback}" if isinstance(message, Failed) else None
        self.settle(trial_id, error)

    def _on_lost(self, message: Lost) -> None:
        trial_id = message.trial_id
        if self._state.decision(trial_id) is not Decision.CONTINUE:
            self.settle(trial_id, None)  # it was on its way out
        elif self._state.losses(trial_id) + 1 >= self._options.max_losses:
            times = self._options.max_losses
            reason = f"the worker died under the trial {times} times; the last: {message.reason}"
            self.settle(trial_id, f"WorkerLostError: {reason}")
        else:
            self.requeue(trial_id, lost=message.reason)

    def requeue(self, trial_id: int, *, lost: str | None) -> None:
        """Let a trial start again from its checkpoint; `lost`: why its worker died, None: the driver did."""
        launch = self._state.requeue(trial_id, lost=lost is not None)
        event: dict[str, Any] = {"event": "requeue", "trial": trial_id, "s": self._now_s()}
        if lost is not None:
            event |= {"event": "lost", "reason": lost}
        self._directory.write(event)
        self._requeued.append(launch)

    def settle(self, trial_id: int, error: str | None) -> None:
        """Carry out a trial's pause or end; `error`: why it failed."""
        self.idle = None
        now_s = self._now_s()
        trial, stops = self._state.settle(trial_id, error, now_s)
        if trial.state is TrialState.PAUSED:
            self._directory.write({"event": "pause", "trial": trial_id, "s": now_s})
            self._callbacks.emit("on_trial_pause", trial)
            self._stop(stops)
            return
        event = {"event": "end", "trial": trial_id, "state": trial.state.value, "s": now_s}
        if trial.error is not None:
            event["error"] = trial.error
        self._directory.write(event)
        self._ended(trial)
        self._stop(stops)

    def cut(self, trial_id: int) -> None:
        """The run ends over a running or paused trial. Only noted: a resumed run lets it go on."""
        trial = self._state.trials[trial_id]
        trial.state, trial.ended_s = TrialState.STOPPED, self._clock.elapsed_s()
        self._directory.try_write({"event": "cut", "trial": trial_id, "s": self._now_s()})
        self._callbacks.emit("on_trial_end", trial)

    def _ended(self, trial: Trial) -> None:
        self.num_failed += trial.state is TrialState.FAILED
        self._directory.trial_ended(trial)
        self._callbacks.emit("on_trial_end", trial)

    def _stop(self, trial_ids: tuple[int, ...]) -> None:
        for trial_id in trial_ids:
            if trial_id in self.running:
                self._executor.stop(trial_id)
            elif self._state.trials[trial_id].state is TrialState.PAUSED:
                self.settle(trial_id, None)

    def _now_s(self) -> float:
        return round(self._clock.elapsed_s(), 4)
