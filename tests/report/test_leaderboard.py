import pandas as pd

from autodl.report.leaderboard import leaderboard
from autodl.trial import Trial, TrialState


def test_best_first_failed_last(run):
    board = leaderboard(run)
    assert len(board) == 12
    assert board["trial_id"].iloc[0] == 5
    assert board["accuracy"].iloc[:-1].is_monotonic_decreasing
    assert board["state"].iloc[-1] == "failed"
    assert board["error"].iloc[-1] == "TrialError: the loss is NaN"
    assert board["seconds"].iloc[0] == 10.0


def test_lower_values_come_first_when_the_score_says_so(make_trial, make_run):
    run = make_run(0, metric="loss", mode="min")
    run.trials = [make_trial(0, {"lr": 1.0}, [0.5], sign=-1.0), make_trial(1, {"lr": 2.0}, [0.2], sign=-1.0)]
    assert list(leaderboard(run)["loss"]) == [0.2, 0.5]


def test_conditional_ints_stay_ints(run):
    width = leaderboard(run)["net/width"]
    assert width.dtype == pd.Int64Dtype()
    assert width.isna().sum() == 6


def test_a_label_named_like_a_column_is_told_apart(make_trial, make_run):
    run = make_run(0)
    run.trials = [make_trial(0, {"state": "x", "accuracy": 3}, [0.5])]
    board = leaderboard(run)
    assert board["state"].iloc[0] == "completed"
    assert board["config.state"].iloc[0] == "x"
    assert board["config.accuracy"].iloc[0] == 3
    assert board.columns.is_unique


def test_no_trials_and_running_trials(make_run):
    run = make_run(0)
    assert list(leaderboard(run).columns[:3]) == ["trial_id", "state", "accuracy"]
    run.trials = [Trial(0, {"lr": 0.1}, TrialState.RUNNING)]
    board = leaderboard(run)
    assert board["accuracy"].isna().all()
    assert board["seconds"].isna().all()
