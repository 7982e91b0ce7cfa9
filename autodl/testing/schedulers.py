"""The contract of a scheduler, as tests to inherit; `drive` feeds it events.

Example::

    from autodl.testing.schedulers import SchedulerContract

    class TestMine(SchedulerContract):
        def make(self):
            return MyScheduler(max_resource=self.max_resource)
"""

from __future__ import annotations

import math

from autodl.schedulers.protocol import (
    Resume,
    Scheduler,
    Start,
    TrialFinished,
    WorkerFree,
)
from autodl.testing.scheduler_driver import Driven, DriveOptions, drive, separated
from autodl.trial import TrialState

__all__ = ["DriveOptions", "Driven", "SchedulerContract", "drive", "separated"]


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
