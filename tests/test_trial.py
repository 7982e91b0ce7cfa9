import pickle
from dataclasses import FrozenInstanceError

import pytest

from autodl.trial import Report, Trial, TrialState


def report(resource, score):
    return Report(0, {"lr": 0.1}, TrialState.RUNNING, resource, score, score)


def test_states_that_will_never_report_again():
    assert {s for s in TrialState if s.ended} == {TrialState.COMPLETED, TrialState.STOPPED, TrialState.FAILED}
    assert TrialState("paused") is TrialState.PAUSED and f"{TrialState.FAILED}" == "failed"


def test_best_is_the_highest_score_and_the_earliest_of_equals():
    trial = Trial(0, {}, reports=[report(1, 0.2), report(2, 0.7), report(3, 0.7), report(4, None)])
    assert trial.best is trial.reports[1]
    assert trial.resource == 4


def test_best_of_negative_scores_is_the_one_nearest_to_zero():
    trial = Trial(0, {}, reports=[report(1, -3.0), report(2, -0.5), report(3, None), report(4, -2.0)])
    assert trial.best is trial.reports[1]


def test_a_trial_without_reports_has_no_best_and_no_resource():
    assert Trial(0, {}).best is None and Trial(0, {}).resource == 0
    assert Trial(0, {}, reports=[report(1, None)]).best is None


def test_trials_share_no_lists():
    assert Trial(0, {}).reports is not Trial(1, {}).reports


def test_reports_are_frozen_and_cross_processes():
    first = report(1, 0.5)
    assert pickle.loads(pickle.dumps(first)) == first
    with pytest.raises(FrozenInstanceError):
        first.value = 1.0
