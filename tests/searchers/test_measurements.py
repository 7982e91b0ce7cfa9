from __future__ import annotations

import math

import pytest

from autodl.searchers.measurements import Measurements
from autodl.spaces import Real, SearchSpace
from autodl.trial import Report, TrialState

SPACE = SearchSpace({"x": Real(0, 1)})


def told(*reports):
    """(trial, state, resource, score), ...; R, C, S and F are the states."""
    states = {
        "R": TrialState.RUNNING,
        "C": TrialState.COMPLETED,
        "S": TrialState.STOPPED,
        "F": TrialState.FAILED,
    }
    data = Measurements(SPACE)
    for trial_id, state, resource, score in reports:
        data.observe(Report(trial_id, {"x": 0.5}, states[state], resource, score, score))
    return data


def test_completed_trials_are_compared_by_their_final_scores():
    data = told((0, "R", 1, 0.9), (0, "C", 9, 0.2), (1, "C", 9, 0.4), (2, "C", 3, 0.3))
    assert data.ranked(enough=2) == [1, 2, 0]


def test_stopped_and_running_ones_come_after_by_how_far_they_got():
    data = told((0, "C", 9, 0.1), (1, "S", 3, 0.8), (2, "R", 1, 0.9), (3, "S", 3, 0.85), (4, "F", 0, None))
    data.add(5, {"x": 0.1})
    assert data.ranked(enough=1) == [0, 3, 1, 2]


def test_with_few_completed_the_highest_resource_that_enough_reached_compares():
    data = told(
        *((i, "R", 1, i / 10) for i in range(5)),
        (0, "R", 3, 0.9),
        (1, "R", 3, 0.2),
        (0, "C", 9, 0.95),
    )
    assert data.highest_resource(2) == 3
    assert data.highest_resource(5) == 1
    assert data.highest_resource(6) is None
    assert data.ranked(enough=2) == [0, 1, 4, 3, 2]
    assert data.ranked(enough=5) == [4, 3, 2, 1, 0]  # at resource 1


def test_a_completed_trial_without_that_resource_counts_with_its_final_score():
    data = told((0, "R", 1, 0.1), (1, "R", 1, 0.3), (2, "C", 9, 0.2))
    assert data.ranked(enough=2) == [1, 2, 0]


def test_failed_trials_lose_their_scores():
    data = told((0, "R", 1, 0.5), (1, "R", 1, 0.4), (0, "F", 1, 0.5))
    assert data.ranked(enough=1) == [1]
    assert (data.num_scored, data.num_completed) == (1, 0)
    assert data.highest_resource(2) is None


@pytest.mark.parametrize("score", [None, math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_no_score(score):
    data = told((0, "C", 1, score), (1, "C", 1, 0.1))
    assert data.ranked(enough=1) == [1]
    assert data.num_completed == 1


def test_the_end_does_not_count_twice_and_nothing_after_it():
    data = told((0, "R", 1, 0.5), (0, "C", 1, 0.5), (0, "R", 2, 0.9), (0, "C", 2, 0.9))
    assert (data.num_scored, data.num_completed) == (1, 1)
    assert data.trials[0].scores == {1: 0.5}


def test_equal_scores_rank_by_number():
    assert told((3, "C", 1, 0.5), (1, "C", 1, 0.5), (2, "C", 1, 0.5)).ranked(enough=1) == [1, 2, 3]
