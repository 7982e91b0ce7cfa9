"""The contract suite catches schedulers that break the contract."""

from __future__ import annotations

import itertools
from collections import deque

import pytest

from autodl.schedulers import FIFOScheduler
from autodl.schedulers.protocol import (
    Continue,
    Pause,
    Resume,
    Start,
    Stop,
    TrialFailed,
    TrialFinished,
    TrialReported,
    TrialStarted,
    WorkerFree,
)
from autodl.testing.schedulers import DriveOptions, SchedulerContract, drive, separated
from autodl.trial import TrialState


class PausesAtThree:
    """A correct one that uses all actions: pauses each trial at 3, resumes it when a worker is free."""

    def __init__(self):
        self.paused = deque()

    def handle(self, event):
        match event:
            case WorkerFree() if len(self.paused) >= 4:
                return [Resume(self.paused.popleft(), to_resource=None)]
            case WorkerFree():
                return [Start()]
            case TrialReported(trial_id=trial_id, resource=3) if trial_id not in self.paused:
                self.paused.append(trial_id)
                return [Pause(trial_id)]
            case TrialReported(trial_id=trial_id):
                return [Continue(trial_id)]
        return []


class StartsUpToThree(PausesAtThree):
    """The same by `Start(to_resource=3)`."""

    def handle(self, event):
        match event:
            case WorkerFree() if len(self.paused) < 4:
                return [Start(to_resource=3)]
            case TrialReported(trial_id=trial_id, resource=3):
                self.paused.append(trial_id)
                return [Continue(trial_id)]
            case TrialReported(trial_id=trial_id):
                return [Continue(trial_id)]
        return super().handle(event)


class WaitsForAll(FIFOScheduler):
    """Starts trials in pairs, the next pair when both have ended."""

    def __init__(self):
        self.started = self.ended = 0

    def handle(self, event):
        match event:
            case WorkerFree() if self.started % 2 == 0 and self.started > self.ended:
                return []
            case TrialStarted():
                self.started += 1
            case TrialFinished() | TrialFailed():
                self.ended += 1
        return super().handle(event)


def broken(reported=None, free=None):
    class Broken(FIFOScheduler):
        def handle(self, event):
            if isinstance(event, TrialReported) and reported:
                return reported(event)
            if isinstance(event, WorkerFree) and free:
                return free()
            return super().handle(event)

    return Broken()


@pytest.mark.parametrize(
    ("scheduler", "complaint"),
    [
        (broken(free=lambda: [Start(), Start()]), "takes one job"),
        (broken(free=lambda: [Continue(0)]), "answered by Start or Resume"),
        (broken(free=lambda: [Resume(0)]), "the trial is None"),
        (broken(free=lambda: [Start(to_resource=0)]), "the trial stands at 0"),
        (broken(reported=lambda e: []), "answered by one verdict"),
        (broken(reported=lambda e: [Continue(e.trial_id), Stop(e.trial_id)]), "answered by one verdict"),
        (broken(reported=lambda e: [Resume(e.trial_id)]), "does not answer a report"),
        (broken(reported=lambda e: [Continue(e.trial_id), Pause(e.trial_id + 1)]), "not for the trial"),
        (broken(reported=lambda e: [Continue(e.trial_id), Stop(e.trial_id + 99)]), "the trial is None"),
    ],
)
def test_driver_says_what_is_wrong(scheduler, complaint):
    with pytest.raises(AssertionError, match=complaint):
        drive(scheduler, separated)


@pytest.mark.parametrize("make", [PausesAtThree, StartsUpToThree])
def test_driver_pauses_and_resumes(make):
    driven = drive(make(), separated, DriveOptions(num_trials=12, max_resource=6))
    assert driven.ids(TrialState.COMPLETED) | driven.ids(TrialState.PAUSED) == set(range(12))
    assert {driven.resources[i] for i in driven.ids(TrialState.PAUSED)} <= {3}
    assert {driven.resources[i] for i in driven.ids(TrialState.COMPLETED)} == {6}
    assert len(driven.ids(TrialState.COMPLETED)) >= 8


def test_driver_stops_others_on_demand():
    def stop_the_one_before(event):
        actions = [Continue(event.trial_id)]
        if event.resource == 2 and event.trial_id == 1:
            actions.append(Stop(0))
        return actions

    driven = drive(broken(reported=stop_the_one_before), separated, DriveOptions(num_trials=2, seed=1))
    assert driven.ids(TrialState.STOPPED) == {0}


def failures(contract):
    """The tests of a suite that fail."""
    names = [name for name in dir(contract) if name.startswith("test_")]
    assert len(names) >= 8
    failed = set()
    for name in names:
        try:
            getattr(contract, name)()
        except Exception:
            failed.add(name)
    return failed


def contract_of(make_one):
    class Contract(SchedulerContract):
        def make(self):
            return make_one()

    return Contract()


def test_suite_passes_a_correct_scheduler():
    assert failures(contract_of(PausesAtThree)) <= {"test_goes_on_after_failures_and_lost_workers"}


def test_suite_catches_what_it_is_for():
    coin = itertools.cycle([True, True, False, True, False])
    flips = broken(reported=lambda e: [Continue(e.trial_id) if next(coin) else Stop(e.trial_id)])
    assert "test_replay_gives_the_same_actions" in failures(contract_of(lambda: flips))
    stops_all = contract_of(lambda: broken(reported=lambda e: [Stop(e.trial_id)]))
    assert failures(stops_all) == {
        "test_best_trial_is_not_stopped",
        "test_some_trials_get_all_of_their_resource",
    }
    assert "test_no_worker_idles_while_new_trials_may_start" in failures(contract_of(WaitsForAll))
    assert "test_first_free_worker_starts_a_trial" in failures(contract_of(lambda: broken(free=list)))
