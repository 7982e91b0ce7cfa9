from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodl.errors import OptionError
from autodl.schedulers.asha import ASHAScheduler
from autodl.schedulers.protocol import Continue, Stop, TrialFinished, TrialReported
from autodl.schedulers.rungs import rung_levels, survivors
from autodl.testing.schedulers import DriveOptions, SchedulerContract, drive, separated
from autodl.trial import TrialState


class TestASHA(SchedulerContract):
    def make(self) -> ASHAScheduler:
        return ASHAScheduler(self.max_resource)


class TestASHABracketsFractionalFactor(SchedulerContract):
    max_resource = 20

    def make(self) -> ASHAScheduler:
        return ASHAScheduler(self.max_resource, grace_period=2, reduction_factor=1.7, brackets=3)


class TestASHAWithoutRungs(SchedulerContract):
    max_resource = 1

    def make(self) -> ASHAScheduler:
        return ASHAScheduler(1)


def verdicts(scheduler: ASHAScheduler, resource: int, scores: list[float]) -> list[bool]:
    """Whether trial i, reporting ``scores[i]`` at `resource`, goes on."""
    answers = [scheduler.handle(TrialReported(i, resource, score)) for i, score in enumerate(scores)]
    assert all(answer in ((Continue(i),), (Stop(i),)) for i, answer in enumerate(answers))
    return [isinstance(answer[0], Continue) for answer in answers]


def test_decisions_at_one_rung_worked_by_hand():
    scores = [0.5, 0.4, 0.6, 0.55, 0.7, 0.1, 0.65]
    # places kept for n = 1..7 at eta = 3: 1 1 1 2 2 2 3; rank on arrival: 1 2 1 2 1 6 2
    assert verdicts(ASHAScheduler(9), 1, scores) == [True, False, True, True, True, False, True]


def test_on_a_plateau_one_in_eta_goes_on():
    assert verdicts(ASHAScheduler(9, reduction_factor=2), 1, [0.5] * 20) == [True, False] * 10


def test_nan_counts_as_worst_and_leaves_later_decisions_sound():
    asha = ASHAScheduler(9)
    assert verdicts(asha, 1, [0.5, math.nan, 0.7, -math.inf, 0.8]) == [True, False, True, False, True]


def test_skipped_rung_is_not_decided_and_the_highest_reached_is():
    asha = ASHAScheduler(27)
    asha.handle(TrialReported(0, 5, 0.9))  # over rungs 1 and 3: compared at 3 only
    assert asha.handle(TrialReported(1, 1, 0.1)) == (Continue(1),)  # the first at rung 1
    assert asha.handle(TrialReported(1, 3, 0.2)) == (Stop(1),)


def test_trial_is_compared_once_a_rung_even_when_it_comes_back():
    asha = ASHAScheduler(9)
    asha.handle(TrialReported(0, 1, 0.9))
    for _ in range(5):  # its worker died and it reports the same epoch again
        assert asha.handle(TrialReported(0, 1, 0.9)) == (Continue(0),)
        assert asha.handle(TrialReported(0, 2, 0.1)) == (Continue(0),)
    assert asha.handle(TrialReported(1, 1, 0.95)) == (Continue(1),)
    assert asha.handle(TrialReported(2, 1, 0.92)) == (Stop(2),)  # n = 3, second best: one place


def test_trial_ends_by_itself_at_the_maximum_and_is_stopped_beyond():
    asha = ASHAScheduler(9)
    asha.handle(TrialReported(0, 9, 0.9))
    assert asha.handle(TrialReported(1, 9, 0.0)) == (Continue(1),)
    assert asha.handle(TrialReported(1, 10, 1.0)) == (Stop(1),)


def test_brackets_decide_apart():
    asha = ASHAScheduler(9, brackets=2)
    resources = {trial_id: 0 for trial_id in range(40)}
    for trial_id in resources:  # all but the first are worse: stopped at the first rung they have
        for resource in range(1, 10):
            resources[trial_id] = resource
            if isinstance(asha.handle(TrialReported(trial_id, resource, -trial_id))[0], Stop):
                break
    assert sorted(set(resources.values())) == [1, 3, 9]  # 9: the first of each bracket


def test_good_trials_survive_and_most_of_the_budget_is_saved():
    driven = drive(ASHAScheduler(27), separated, DriveOptions(num_trials=60))
    finished = driven.ids(TrialState.COMPLETED)
    assert {i for i in range(60) if i % 10 == 3} & finished  # the best there are
    assert sum(driven.resources.values()) < 60 * 27 / 2


def test_noisy_curves_still_give_a_top_trial():
    def curve(trial_id: int, resource: int) -> float:
        quality = np.random.default_rng(trial_id).random()
        noise = np.random.default_rng((trial_id, resource)).normal(0, 0.1)
        return float(quality * (1 - 0.5 / resource) + noise / resource)

    for seed in range(3):
        driven = drive(ASHAScheduler(27), curve, DriveOptions(num_trials=60, seed=seed))
        top = sorted(range(60), key=lambda i: curve(i, 27), reverse=True)[:5]
        assert set(top) & driven.ids(TrialState.COMPLETED)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 60),
    st.integers(1, 5),
    st.one_of(st.integers(2, 5), st.floats(1.2, 5)),
    st.lists(st.tuples(st.integers(0, 8), st.sampled_from([0.1, 0.2, 0.5, 0.9])), max_size=120),
)
def test_any_order_of_reports_leaves_every_rung_within_its_places(high, grace, factor, order):
    """Each arrival at a rung is checked against a recount from scratch."""
    grace = min(grace, high)
    asha, levels = ASHAScheduler(high, grace, factor), rung_levels(high, grace, factor)
    at: dict[int, int] = {}
    ended: set[int] = set()
    seen: dict[int, list[tuple[float, bool]]] = {level: [] for level in levels}
    for trial_id, score in order:
        if trial_id in ended:
            continue
        at[trial_id] = resource = at.get(trial_id, 0) + 1
        (action,) = asha.handle(TrialReported(trial_id, resource, score))
        goes_on = resource <= high
        if resource in seen:
            places_taken = sum(s > score or (s == score and passed) for s, passed in seen[resource])
            goes_on = places_taken < survivors(len(seen[resource]) + 1, factor)
            seen[resource].append((score, goes_on))
        assert action == (Continue(trial_id) if goes_on else Stop(trial_id))
        if not goes_on:
            ended.add(trial_id)
            asha.handle(TrialFinished(trial_id, resource, score))


def test_bad_numbers_are_refused():
    with pytest.raises(OptionError, match="grace_period"):
        ASHAScheduler(3, grace_period=4)
