"""The contract of a scheduler, as tests to inherit, and a driver that feeds it events.

Example::

    from autodl.testing.schedulers import SchedulerContract

    class TestMine(SchedulerContract):
        def make(self):
            return MyScheduler(max_resource=self.max_resource)
"""

from __future__ import annotations

import math
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


class SchedulerContract:
    """What every scheduler must do. Inherit, name the class ``Test...``, and define `make`."""

    max_resource = 27
    is_asynchronous = True
    """No worker is ever left idle while new trials may start."""

    def make(self) -> Scheduler:
        """A new scheduler, for trials of up to `max_resource`."""
        raise NotImplementedError

    def options(self, **changes: float) -> DriveOptions:
        """The driven cluster; `changes` are fields of `DriveOptions`."""
        return DriveOptions(**{"max_resource": self.max_resource, **changes})  # type: ignore[arg-type]

    def test_has_the_method_of_the_protocol(self) -> None:
        """`handle` is there."""
        assert isinstance(self.make(), Scheduler)

    def test_first_free_worker_starts_a_trial(self) -> None:
        """Nothing is known yet, so there is no reason to wait."""
        (action,) = self.make().handle(WorkerFree())
        assert isinstance(action, Start)

    def test_every_run_comes_to_an_end(self) -> None:
        """No trial is forgotten, and no deadlock, on few workers or many."""
        for seed in range(5):
            for workers in (1, 4, 16):
                driven = drive(self.make(), separated, self.options(num_workers=workers, seed=seed))
                assert len(driven.states) == 30
                assert driven.ids(TrialState.RUNNING) == set()

    def test_no_worker_idles_while_new_trials_may_start(self) -> None:
        """What makes a scheduler asynchronous: no decision waits for stragglers."""
        for seed in range(3):
            driven = drive(self.make(), separated, self.options(num_workers=8, seed=seed))
            idle = [event for event, actions in driven.log if event == WorkerFree() and not actions]
            assert not idle or not self.is_asynchronous

    def test_some_trials_get_all_of_their_resource(self) -> None:
        """Once no new trial may start, paused ones that are due still go on."""
        for seed in range(3):
            driven = drive(self.make(), separated, self.options(num_trials=60, seed=seed))
            assert driven.ids(TrialState.COMPLETED), "nobody came to its own end"

    def test_no_trial_goes_twice_to_the_same_resource(self) -> None:
        """A trial is promoted once from each rung, workers that die or not."""
        for faults in ({}, {"failure_rate": 0.05, "loss_rate": 0.1}):
            driven = drive(self.make(), separated, self.options(num_trials=60, **faults))
            resumed = [
                (action.trial_id, action.to_resource)
                for _, actions in driven.log
                for action in actions
                if isinstance(action, Resume) and action.copy_from is None and action.to_resource is not None
            ]
            assert len(resumed) == len(set(resumed))

    def test_best_trial_is_not_stopped(self) -> None:
        """A trial ahead of all others at every resource may wait, but is never ended."""
        for seed in range(5):
            driven = drive(self.make(), separated, self.options(num_trials=10, seed=seed))
            assert 3 not in driven.ids(TrialState.STOPPED), "trial 3 is ahead at every resource"

    def test_goes_on_after_failures_and_lost_workers(self) -> None:
        """Trials that fail, and trials that fall back and report again, do no harm."""
        for seed in range(5):
            faults = self.options(failure_rate=0.2, loss_rate=0.1, num_trials=60, seed=seed)
            driven = drive(self.make(), separated, faults)
            assert len(driven.states) == 60
            assert driven.ids(TrialState.FAILED), "the test injects failures"

    def test_takes_reports_that_skip_resources(self) -> None:
        """Rungs may lie between two reports."""
        for stride in (2, 5, self.max_resource):
            driven = drive(self.make(), separated, self.options(stride=stride))
            assert driven.ids(TrialState.RUNNING) == set()

    def test_takes_equal_and_extreme_scores(self) -> None:
        """Plateaus, infinities and huge numbers are scores too."""
        for scores in ([0.5], [math.inf, -math.inf, 0.0], [1e300, -1e300]):
            drive(self.make(), lambda t, r, s=scores: s[(t + r) % len(s)], self.options())  # type: ignore[misc]

    def test_takes_the_end_of_a_trial_that_never_reported(self) -> None:
        """Its score is None."""
        scheduler = self.make()
        scheduler.handle(WorkerFree())
        scheduler.handle(TrialFinished(0, 0, None))
        assert scheduler.handle(WorkerFree())

    def test_replay_gives_the_same_actions(self) -> None:
        """The same events in, the same actions out: resume is replay."""
        faults = self.options(failure_rate=0.05, loss_rate=0.1)
        driven = drive(self.make(), separated, faults)
        again = self.make()
        assert [tuple(again.handle(event)) for event, _ in driven.log] == [
            actions for _, actions in driven.log
        ]
