from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodl.errors import OptionError
from autodl.schedulers.protocol import (
    Continue,
    Pause,
    Resume,
    Start,
    Stop,
    TrialFailed,
    TrialFinished,
    TrialPaused,
    TrialReported,
    TrialStarted,
    WorkerFree,
)
from autodl.schedulers.sync_halving import SyncHalvingScheduler
from autodl.testing.schedulers import DriveOptions, drive
from autodl.trial import TrialState


def started(scheduler, count: int, first: int = 0) -> None:
    for trial_id in range(first, first + count):
        assert isinstance(scheduler.handle(WorkerFree())[0], Start)
        scheduler.handle(TrialStarted(trial_id, {}))


def test_one_bracket_worked_by_hand():
    halving = SyncHalvingScheduler(9)  # 9 trials to 1, 3 to 3, 1 to 9
    started(halving, 9)
    assert halving.handle(WorkerFree()) == ()  # the bracket is full
    for trial_id in range(9):
        assert halving.handle(WorkerFree()) == ()  # waits for all
        assert halving.handle(TrialReported(trial_id, 1, trial_id)) == (Pause(trial_id),)
        stops = halving.handle(TrialPaused(trial_id))
    assert set(stops) == {Stop(i) for i in range(6)}
    for trial_id in range(6):
        assert halving.handle(TrialFinished(trial_id, 1, trial_id)) == ()
    assert [halving.handle(WorkerFree())[0] for _ in range(3)] == [Resume(i, 3) for i in (8, 7, 6)]
    assert halving.handle(WorkerFree()) == ()
    for trial_id, score in ((6, 0.9), (7, 0.8), (8, 0.7)):  # the order turns
        assert halving.handle(TrialReported(trial_id, 2, score)) == (Continue(trial_id),)
        assert halving.handle(TrialReported(trial_id, 3, score)) == (Pause(trial_id),)
        stops = halving.handle(TrialPaused(trial_id))
    assert set(stops) == {Stop(7), Stop(8)}
    assert halving.handle(WorkerFree()) == (Resume(6, None),)
    assert halving.handle(TrialReported(6, 9, 0.9)) == (Continue(6),)
    assert halving.handle(WorkerFree()) == ()  # the last stage too is waited for
    halving.handle(TrialFinished(6, 9, 0.9))
    assert halving.handle(WorkerFree()) == (Start(1),)  # the next bracket


def test_sizes_are_those_of_hyperbands_table():
    assert SyncHalvingScheduler(81, brackets=5).sizes == (81, 34, 15, 8, 5)  # Li et al. 2018, table 1
    assert SyncHalvingScheduler(81).sizes == (81,)
    assert SyncHalvingScheduler(9, reduction_factor=3, brackets=2).sizes == (9, 5)


def test_brackets_follow_each_other_with_hyperbands_first_rungs():
    halving = SyncHalvingScheduler(9, brackets=3)
    driven = drive(halving, lambda t, r: float(t), DriveOptions(num_trials=17, num_workers=1, max_resource=9))
    starts = [a.to_resource for _, actions in driven.log for a in actions if isinstance(a, Start)]
    assert starts == [1] * 9 + [3] * 5 + [None] * 3
    assert [driven.resources[i] for i in range(17)] == ([1] * 6 + [3] * 2 + [9] + [3] * 4 + [9] + [9] * 3)


def test_too_few_trials_make_a_smaller_bracket():
    halving = SyncHalvingScheduler(9)
    started(halving, 4)
    for trial_id in range(4):
        halving.handle(TrialReported(trial_id, 1, trial_id))
        halving.handle(TrialPaused(trial_id))
    assert halving.handle(WorkerFree(can_start=False)) == (Resume(3, 3),)
    assert halving.handle(WorkerFree(can_start=False)) == ()
    answer = halving.handle(TrialReported(3, 2, 0.5))  # the first answer that may stop others
    assert set(answer) == {Continue(3), Stop(0), Stop(1), Stop(2)}


def test_a_failed_trial_is_not_waited_for():
    halving = SyncHalvingScheduler(3)  # 3 trials, then 1
    started(halving, 3)
    for trial_id in (0, 1):
        halving.handle(TrialReported(trial_id, 1, trial_id))
        halving.handle(TrialPaused(trial_id))
    assert halving.handle(TrialFailed(2)) == (Stop(0),)
    assert halving.handle(WorkerFree()) == (Resume(1, None),)
    halving.handle(TrialFailed(1))
    assert halving.handle(WorkerFree()) == (Start(1),)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(2, 30),
    st.sampled_from([1.5, 2, 3]),
    st.integers(1, 2),
    st.integers(1, 7),
    st.integers(0, 10**6),
    st.sampled_from([0.0, 0.1]),
    st.integers(1, 60),
)
def test_every_rung_waits_for_all_and_keeps_one_in_eta(high, factor, brackets, workers, seed, faults, trials):
    """At any time all resumed trials come from a rung at which nobody is missing."""
    halving = SyncHalvingScheduler(high, reduction_factor=factor, brackets=brackets)
    options = DriveOptions(trials, workers, high, seed=seed, failure_rate=faults, loss_rate=faults)
    driven = drive(halving, lambda t, r: math.sin(t * 37 + seed), options)
    running: dict[int, int] = {}  # trial -> how often it was resumed
    resumed: dict[int, int] = {}
    for event, actions in driven.log:
        match event:
            case TrialStarted(trial_id=i):
                running[i] = resumed[i] = 0
            case TrialPaused(trial_id=i) | TrialFinished(trial_id=i) | TrialFailed(trial_id=i):
                running.pop(i, None)
        for action in actions:
            if isinstance(action, Resume):
                resumed[action.trial_id] += 1
                running[action.trial_id] = resumed[action.trial_id]
                assert len(set(running.values())) == 1, "somebody was still on its way to the rung below"
    assert not running
    assert not driven.ids(TrialState.PAUSED), "every pause is followed by a resume or the end"
    assert len(driven.states) == trials


def test_bad_numbers_are_refused():
    with pytest.raises(OptionError, match="brackets must be at most 3"):
        SyncHalvingScheduler(9, brackets=4)
