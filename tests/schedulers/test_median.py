from __future__ import annotations

import math

import pytest

from autodl.errors import OptionError
from autodl.schedulers.median import MedianStoppingScheduler
from autodl.schedulers.protocol import Continue, Stop, TrialFinished, TrialReported
from autodl.testing.schedulers import DriveOptions, drive, separated
from autodl.trial import TrialState


def told(scheduler, trial_id: int, *scores: float) -> list[bool]:
    """Whether a trial goes on after each of its reports."""
    answers = [scheduler.handle(TrialReported(trial_id, r, score)) for r, score in enumerate(scores, start=1)]
    assert all(answer in ((Continue(trial_id),), (Stop(trial_id),)) for answer in answers)
    return [answer == (Continue(trial_id),) for answer in answers]


def test_rule_worked_by_hand():
    median = MedianStoppingScheduler(min_samples=3)
    assert told(median, 0, 0.2, 0.4, 0.9) == [True] * 3  # running means .2 .3 .5
    assert told(median, 1, 0.4, 0.6, 0.8) == [True] * 3  # .4 .5 .6
    assert told(median, 2, 0.6, 0.8, 0.7) == [True] * 3  # .6 .7 .7
    # medians of the three: .4 .5 .6
    assert told(median, 3, 0.4, 0.3, 0.3) == [True, False, False]  # .4 is not below .4; best .4 is below .5
    # medians of the four, the last with means .4 .35 .333: .4 .425 .55
    assert told(median, 4, 0.41, 0.43, 0.1) == [True, True, False]


def test_the_best_score_so_far_counts_not_the_last():
    median = MedianStoppingScheduler(min_samples=1)
    told(median, 0, 0.5, 0.5)
    assert told(median, 1, 0.9, 0.0) == [True, True]


def test_grace_period_and_min_samples_hold_it_back():
    median = MedianStoppingScheduler(grace_period=2, min_samples=2)
    told(median, 0, 0.9, 0.9)
    assert told(median, 1, 0.1, 0.1) == [True, True]
    assert told(median, 2, 0.1, 0.1) == [True, False]


def test_a_repeated_report_counts_once():
    median = MedianStoppingScheduler(min_samples=2)
    for _ in range(3):
        told(median, 0, 0.9)
    assert told(median, 1, 0.1) == [True]


def test_nan_and_infinities_leave_the_order_sound():
    median = MedianStoppingScheduler(min_samples=1)
    told(median, 0, math.nan, math.inf, -math.inf)
    told(median, 1, -math.inf, math.inf, 0.0)
    assert told(median, 2, 0.5, 0.6, 0.7)[0]


def test_about_half_the_trials_are_ended_and_none_of_the_best():
    driven = drive(MedianStoppingScheduler(), separated, DriveOptions(num_trials=60))
    stopped = driven.ids(TrialState.STOPPED)
    assert 15 <= len(stopped) <= 45
    assert not {i for i in stopped if separated(i, 9) > 8}


def test_a_trial_that_ended_is_forgotten():
    median = MedianStoppingScheduler()
    told(median, 0, 0.5)
    median.handle(TrialFinished(0, 1, 0.5))
    assert median._curves == {}


@pytest.mark.parametrize("options", [{"grace_period": 0}, {"min_samples": 1.5}, {"min_samples": True}])
def test_bad_numbers_are_refused(options):
    with pytest.raises(OptionError, match=next(iter(options))):
        MedianStoppingScheduler(**options)
