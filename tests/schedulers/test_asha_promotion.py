"""ASHA's promotion type: known traces, its invariants, its cost."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodl.errors import OptionError
from autodl.schedulers.asha import ASHAScheduler
from autodl.schedulers.hyperband import HyperbandScheduler
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
from autodl.schedulers.rungs import rung_levels
from autodl.testing.schedulers import DriveOptions, drive, separated
from autodl.trial import TrialState


def promotion(max_resource: int = 9, **options) -> ASHAScheduler:
    return ASHAScheduler(max_resource, type="promotion", **options)


def arrive(scheduler, trial_id: int, resource: int, score: float) -> None:
    """A trial reports at a rung and pauses there."""
    assert scheduler.handle(TrialReported(trial_id, resource, score)) == (Pause(trial_id),)
    assert scheduler.handle(TrialPaused(trial_id)) == ()


def test_trace_worked_by_hand():
    asha = promotion()  # rungs at 1 and 3, R = 9, eta = 3
    for trial_id, score in enumerate([0.5, 0.9]):
        assert asha.handle(WorkerFree()) == (Start(to_resource=1),)
        asha.handle(TrialStarted(trial_id, {}))
        arrive(asha, trial_id, 1, score)
    assert asha.handle(WorkerFree()) == (Start(1),)  # floor(2 / 3) = 0: nobody is due
    arrive(asha, 2, 1, 0.1)
    assert asha.handle(WorkerFree()) == (Resume(1, to_resource=3),)
    assert asha.handle(WorkerFree()) == (Start(1),)  # the only place is taken
    arrive(asha, 3, 1, 0.95)  # n = 4, one place: the new best is due, the old one was promoted before
    assert asha.handle(WorkerFree()) == (Resume(3, to_resource=3),)
    arrive(asha, 1, 3, 0.7)
    arrive(asha, 3, 3, 0.8)
    for trial_id in (4, 5):  # n = 6, two places: those of 3 and 1
        arrive(asha, trial_id, 1, 0.2)
    assert asha.handle(WorkerFree()) == (Start(1),)
    for trial_id, score in ((6, 0.96), (7, 0.3), (8, 0.3)):  # n = 9, three places: 6, 3, 1
        arrive(asha, trial_id, 1, score)
    assert asha.handle(WorkerFree()) == (Resume(6, to_resource=3),)
    arrive(asha, 6, 3, 0.6)  # n = 3 at the upper rung: the best of 0.7, 0.8, 0.6 is due
    assert asha.handle(WorkerFree()) == (Resume(3, to_resource=None),)
    assert asha.handle(TrialReported(3, 5, 0.9)) == (Continue(3),)
    assert asha.handle(TrialReported(3, 9, 0.9)) == (Continue(3),)


def test_the_highest_rung_goes_first_and_new_trials_last():
    asha = promotion(reduction_factor=2)  # rungs 1, 2, 4, 8
    for trial_id in range(4):
        arrive(asha, trial_id, 1, trial_id)
    for trial_id in (3, 2):
        assert asha.handle(WorkerFree()) == (Resume(trial_id, 2),)
        arrive(asha, trial_id, 2, trial_id)
    arrive(asha, 4, 1, 9.0)
    arrive(asha, 5, 1, 8.0)  # due at rung 1: 4; at rung 2: 3
    asked = [asha.handle(WorkerFree())[0] for _ in range(4)]
    assert asked == [Resume(3, 4), Resume(4, 2), Resume(5, 2), Start(1)]


def test_when_no_trial_may_start_those_that_are_due_still_go_on():
    asha = promotion()
    for trial_id in range(3):
        arrive(asha, trial_id, 1, trial_id)
    assert asha.handle(WorkerFree(can_start=False)) == (Resume(2, 3),)
    assert asha.handle(WorkerFree(can_start=False)) == ()


def test_a_pause_that_is_only_decided_is_not_resumed():
    """Its worker is still busy with it: another free worker must not take it."""
    asha = promotion(reduction_factor=2)
    arrive(asha, 0, 1, 0.1)
    assert asha.handle(TrialReported(1, 1, 0.9)) == (Pause(1),)
    assert asha.handle(WorkerFree()) == (Start(1),)
    asha.handle(TrialPaused(1))
    assert asha.handle(WorkerFree()) == (Resume(1, 2),)


@pytest.mark.parametrize("end", [TrialFailed(2), TrialFinished(2, 1, 0.9)])
def test_a_trial_that_ended_while_paused_is_not_promoted(end):
    asha = promotion()
    for trial_id in range(3):
        arrive(asha, trial_id, 1, trial_id)
    asha.handle(end)
    assert asha.handle(WorkerFree()) == (Start(1),)


def test_equal_scores_go_on_in_the_order_of_their_numbers():
    asha = promotion()
    for trial_id in (4, 2, 0, 5, 1, 3):
        arrive(asha, trial_id, 1, 0.5)
    assert [asha.handle(WorkerFree())[0] for _ in range(3)] == [Resume(0, 3), Resume(1, 3), Start(1)]


def test_nan_is_the_worst():
    asha = promotion()
    for trial_id, score in enumerate([math.nan, -1e300, math.nan]):
        arrive(asha, trial_id, 1, score)
    assert asha.handle(WorkerFree()) == (Resume(1, 3),)


@pytest.mark.parametrize("scheduler", [promotion(27), HyperbandScheduler(27, type="promotion")])
def test_a_decision_never_waits_for_stragglers(scheduler):
    """Trial 0 hangs for ever: all others come through every rung without it."""
    assert isinstance(scheduler.handle(WorkerFree())[0], Start)
    scheduler.handle(TrialStarted(0, {}))
    started, at, finished = 1, {}, []
    while started < 200:
        (action,) = scheduler.handle(WorkerFree())
        trial_id = action.trial_id if isinstance(action, Resume) else started
        if isinstance(action, Start):
            started += 1
            scheduler.handle(TrialStarted(trial_id, {}))
        resource = action.to_resource or 27
        at[trial_id] = resource
        scheduler.handle(TrialReported(trial_id, resource, trial_id % 17))
        if resource == 27:
            finished.append(trial_id)
            scheduler.handle(TrialFinished(trial_id, 27, 0.0))
        else:
            scheduler.handle(TrialPaused(trial_id))
    assert len(finished) >= 5
    assert {1, 3, 9, 27} <= set(at.values())


def test_known_scores_in_any_order_fill_each_rung_to_its_places():
    """Once all have arrived, floor(n / eta) of each rung have gone on, where no late-comer beat one."""
    asha = promotion(27)
    for trial_id in range(81):
        arrive(asha, trial_id, 1, (trial_id * 50) % 81)
    counts = []
    for level in (3, 9, None):
        moved = []
        while actions := asha.handle(WorkerFree(can_start=False)):
            assert actions[0].to_resource == level
            moved.append(actions[0].trial_id)
        counts.append(len(moved))
        for trial_id in moved if level else ():  # arrive after all have left: no decision is early
            arrive(asha, trial_id, level, (trial_id * 50) % 81)
    assert counts == [27, 9, 3]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 30),
    st.sampled_from([1.5, 2, 3, 4]),
    st.integers(1, 2),
    st.integers(0, 10**6),
    st.integers(1, 9),
    st.sampled_from([0.0, 0.1]),
)
def test_any_order_of_events_keeps_the_invariants(high, factor, brackets, seed, workers, faults):
    """Recounted from the log: promotions are due, unique, from the top; nobody is forgotten."""
    asha = promotion(high, reduction_factor=factor, brackets=brackets)
    quality = np.random.default_rng(seed).permutation(40)
    options = DriveOptions(
        num_trials=40,
        num_workers=workers,
        max_resource=high,
        seed=seed,
        failure_rate=faults,
        loss_rate=faults,
    )
    driven = drive(asha, lambda t, r: float(quality[t]), options)
    levels = rung_levels(high, 1, factor)
    arrived: dict[tuple[int, int], set[int]] = {}
    passed: set[tuple[int, int, int]] = set()
    at: dict[int, int] = {}
    for event, actions in driven.log:
        if isinstance(event, TrialReported) and isinstance(actions[0], Pause):
            bracket = asha._ladders.bracket(event.trial_id)
            at[event.trial_id] = max(level for level in levels if level <= event.resource)
            arrived.setdefault((bracket, at[event.trial_id]), set()).add(event.trial_id)
        for action in actions:
            if not isinstance(action, Resume):
                continue
            bracket = asha._ladders.bracket(action.trial_id)
            rung = (bracket, at[action.trial_id])
            rank = sum(quality[other] > quality[action.trial_id] for other in arrived[rung])
            assert rank < math.floor(len(arrived[rung]) / factor + 1e-9), "in the top 1/eta of the rung"
            assert (*rung, action.trial_id) not in passed, "promoted once from a rung"
            passed.add((*rung, action.trial_id))
    assert len(driven.states) == 40
    assert not driven.ids(TrialState.STOPPED) | driven.ids(TrialState.RUNNING)
    for rung, trials in arrived.items():  # who is left waits rightly
        gone = {trial_id for *where, trial_id in passed if tuple(where) == rung}
        for trial_id in (trials - gone) & driven.ids(TrialState.PAUSED):
            rank = sum(quality[other] > quality[trial_id] for other in trials)
            assert rank >= math.floor(len(trials) / factor + 1e-9)


class Counted(float):
    """A score that counts how often it is compared."""

    comparisons = 0

    def __lt__(self, other):
        Counted.comparisons += 1
        return float(self) < float(other)

    def __gt__(self, other):
        Counted.comparisons += 1
        return float(self) > float(other)

    def __eq__(self, other):
        Counted.comparisons += 1
        return float(self) == float(other)

    def __hash__(self):
        return hash(float(self))

    def __neg__(self):
        return Counted(-float(self))


def comparisons_an_event(make, num_trials: int) -> float:
    """Comparisons of scores per event, of a run of 1,000 workers, from half of its trials on."""
    quality = np.random.default_rng(0).random(num_trials)
    scheduler, running, started, events = make(), [], 0, 0
    while started < num_trials or running:
        while len(running) < 1000:
            (action, *_) = scheduler.handle(WorkerFree(can_start=started < num_trials)) or (None,)
            events += 1
            if action is None:
                break
            trial_id = action.trial_id if isinstance(action, Resume) else started
            if isinstance(action, Start):
                started += 1
                scheduler.handle(TrialStarted(trial_id, {}))
                if started == num_trials // 2:
                    Counted.comparisons = events = 0
            running.append((trial_id, action.to_resource or 27))
        trial_id, resource = running.pop(0)
        (verdict,) = scheduler.handle(TrialReported(trial_id, resource, Counted(quality[trial_id])))
        events += 2
        ends = isinstance(verdict, Stop) or resource == 27
        if isinstance(verdict, Continue) and not ends:
            running.append((trial_id, resource * 3))
        elif isinstance(verdict, Pause):
            scheduler.handle(TrialPaused(trial_id))
        else:
            scheduler.handle(TrialFinished(trial_id, resource, 0.0))
    return Counted.comparisons / events


@pytest.mark.parametrize("make", [lambda: promotion(27), lambda: ASHAScheduler(27)])
def test_cost_of_an_event_is_flat_in_the_number_of_trials(make):
    small, large = comparisons_an_event(make, 2_000), comparisons_an_event(make, 16_000)
    assert large < 40  # some heap operations: a scan would be thousands
    assert large < small + 3 * math.log2(8)


def test_hyperband_has_all_brackets_and_each_gets_its_share():
    hyperband = HyperbandScheduler(27, type="promotion")
    assert hyperband.brackets == 4  # first rungs at 1, 3, 9 and none
    first = []
    for trial_id in range(400):
        (action,) = hyperband.handle(WorkerFree())
        first.append(action.to_resource)
        hyperband.handle(TrialStarted(trial_id, {}))
    shares = {1: 27 / 4, 3: 9 / 3, 9: 3 / 2, None: 1 / 1}
    for level, share in shares.items():
        assert first.count(level) == pytest.approx(400 * share / sum(shares.values()), abs=4)


def test_hyperband_passes_on_what_asha_takes():
    assert repr(HyperbandScheduler(27, 3, 2, 2, "promotion")) == (
        "HyperbandScheduler(max_resource=27, grace_period=3, reduction_factor=2, brackets=2, "
        "type='promotion')"
    )
    with pytest.raises(OptionError, match="max_resource"):
        HyperbandScheduler(0)
    with pytest.raises(OptionError, match='"stopping" or "promotion", got \'pausing\''):
        ASHAScheduler(9, type="pausing")


def test_promotion_saves_most_of_the_budget_and_finds_the_best():
    driven = drive(promotion(27), separated, DriveOptions(num_trials=60))
    finished = driven.ids(TrialState.COMPLETED)
    assert finished <= {i for i in range(60) if i % 10 == 3}
    assert len(finished) >= 2  # 60 / 27
    assert sum(driven.resources.values()) < 60 * 27 / 4
