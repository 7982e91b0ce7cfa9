"""Feeds a scheduler with the events of a pretended cluster, and checks each answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from autodl.schedulers.protocol import (
    Action,
    Continue,
    Event,
    Pause,
    Resume,
    Scheduler,
    Start,
    Stop,
    TrialFailed,
    TrialFinished,
    TrialPaused,
    TrialReported,
    TrialStarted,
    WorkerFree,
)
from autodl.trial import TrialState

Curve = Callable[[int, int], float]
"""``(trial_id, resource) -> score``, larger is better."""


@dataclass(slots=True)
class Driven:
    """What came of a driven run.

    Attributes:
        log: every event with the actions that answered it, in order.
        states: where each trial ended up.
        resources: the highest resource each trial reported, 0 if none.
    """

    log: list[tuple[Event, tuple[Action, ...]]] = field(default_factory=list)
    states: dict[int, TrialState] = field(default_factory=dict)
    resources: dict[int, int] = field(default_factory=dict)

    def ids(self, state: TrialState) -> set[int]:
        """The trials in that state."""
        return {trial_id for trial_id, now in self.states.items() if now is state}


@dataclass(frozen=True, slots=True)
class DriveOptions:
    """The cluster and the trials of a driven run.

    Attributes:
        num_trials: trials to start at most; a `Start` beyond is not carried out.
        num_workers: trials that run at the same time.
        max_resource: resource at which a trial comes to its own end.
        stride: a trial reports every so many resources.
        failure_rate: chance a step that the trial fails.
        loss_rate: chance a step that the worker dies: the trial goes back to half its resource.
        seed: fixes which worker reports next, and the faults.
    """

    num_trials: int = 30
    num_workers: int = 4
    max_resource: int = 27
    stride: int = 1
    failure_rate: float = 0.0
    loss_rate: float = 0.0
    seed: int = 0


def drive(scheduler: Scheduler, curve: Curve, options: DriveOptions | None = None) -> Driven:
    """Run a scheduler on a pretended cluster, workers reporting in a seeded random order.

    Raises:
        AssertionError: an answer breaks the protocol; the message says which.
    """
    return _Driver(scheduler, curve, options or DriveOptions()).run()


class _Driver:
    def __init__(self, scheduler: Scheduler, curve: Curve, options: DriveOptions) -> None:
        self.scheduler, self.curve, self.options = scheduler, curve, options
        self.rng = np.random.default_rng(options.seed)
        self.driven = Driven()
        self.running: dict[int, int | None] = {}  # trial -> the resource to pause at
        self.at: dict[int, int] = {}  # trial -> resource it stands at (falls back with a lost worker)

    def run(self) -> Driven:
        while self._fill() or self.running:
            self._step(int(self.rng.choice(list(self.running))))
        return self.driven

    def _tell(self, event: Event) -> tuple[Action, ...]:
        actions = tuple(self.scheduler.handle(event))
        self.driven.log.append((event, actions))
        return actions

    def _fill(self) -> bool:
        """Offer idle workers until one is left idle; True if any took a job."""
        took = False
        while len(self.running) < self.options.num_workers:
            can_start = len(self.driven.states) < self.options.num_trials
            actions = self._tell(WorkerFree(can_start))
            assert len(actions) <= 1, f"a free worker takes one job, got {actions}"
            if not actions or not self._take(actions[0]):
                return took
            took = True
        return took

    def _take(self, action: Action) -> bool:
        states = self.driven.states
        assert isinstance(action, Start | Resume), f"WorkerFree is answered by Start or Resume, got {action}"
        if isinstance(action, Resume):
            trial_id = action.trial_id
            assert states.get(trial_id) is TrialState.PAUSED, f"{action}: the trial is {states.get(trial_id)}"
            self._copy(action)
        elif len(states) >= self.options.num_trials:
            return False
        else:
            trial_id = len(states)
            self.at[trial_id] = self.driven.resources[trial_id] = 0
        to = action.to_resource
        assert to is None or to > self.at[trial_id], f"{action}: the trial stands at {self.at[trial_id]}"
        self.driven.states[trial_id] = TrialState.RUNNING
        self.running[trial_id] = to
        if isinstance(action, Start):
            self._obey_stops(self._tell(TrialStarted(trial_id, {"x": 0.5})))
        return True

    def _copy(self, resume: Resume) -> None:
        """The trial takes over another's checkpoint."""
        source = resume.copy_from
        if source is None:
            return
        state = self.driven.states.get(source)
        assert source != resume.trial_id and state is not None, f"{resume}: nothing to copy"
        assert not state.ended, f"{resume}: trial {source} is {state}, its checkpoint may be gone"
        self.at[resume.trial_id] = self.at[source]

    def _step(self, trial_id: int) -> None:
        fault = self.rng.random()
        if fault < self.options.failure_rate:
            return self._end(trial_id, TrialState.FAILED)
        if fault < self.options.failure_rate + self.options.loss_rate:
            self.at[trial_id] //= 2
            return None
        self.at[trial_id] = resource = min(self.at[trial_id] + self.options.stride, self.options.max_resource)
        self.driven.resources[trial_id] = max(self.driven.resources[trial_id], resource)
        actions = self._tell(TrialReported(trial_id, resource, self.curve(trial_id, resource)))
        self._obey(trial_id, actions)
        if trial_id in self.running and resource >= self.options.max_resource:
            self._end(trial_id, TrialState.COMPLETED)
        return None

    def _obey(self, trial_id: int, actions: Sequence[Action]) -> None:
        own = [a for a in actions if not isinstance(a, Start) and a.trial_id == trial_id]
        assert len(own) == 1, f"a report of trial {trial_id} is answered by one verdict, got {actions}"
        assert isinstance(own[0], Continue | Pause | Stop), f"{own[0]} does not answer a report"
        for action in actions:
            if action is own[0]:
                continue
            assert isinstance(action, Stop), f"{action} is not for the trial that reported"
            state = self.driven.states.get(action.trial_id)
            assert state is not None and not state.ended, f"{action}: the trial is {state}"
            self._end(action.trial_id, TrialState.STOPPED)
        pause_at = self.running[trial_id]
        if isinstance(own[0], Stop):
            self._end(trial_id, TrialState.STOPPED)
        elif isinstance(own[0], Pause) or (pause_at is not None and self.at[trial_id] >= pause_at):
            self.driven.states[trial_id] = TrialState.PAUSED
            del self.running[trial_id]
            self._obey_stops(self._tell(TrialPaused(trial_id)))

    def _end(self, trial_id: int, state: TrialState) -> None:
        self.driven.states[trial_id] = state
        self.running.pop(trial_id, None)
        if state is TrialState.FAILED:
            actions = self._tell(TrialFailed(trial_id))
        else:
            best = max((self.curve(trial_id, r) for r in range(1, self.at[trial_id] + 1)), default=None)
            actions = self._tell(TrialFinished(trial_id, self.at[trial_id], best))
        self._obey_stops(actions)

    def _obey_stops(self, actions: Sequence[Action]) -> None:
        for action in actions:
            assert isinstance(action, Stop), f"{action} can only answer a free worker or a report"
            state = self.driven.states.get(action.trial_id)
            assert state is not None and not state.ended, f"{action}: the trial is {state}"
            self._end(action.trial_id, TrialState.STOPPED)


def separated(trial_id: int, resource: int) -> float:
    """Curves that rise and never cross; trials with ``trial_id % 10 == 3`` are on top."""
    return float((trial_id * 3) % 10) + 1 - 1 / resource
