from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autodl.errors import TrialError, UnknownNameError
from autodl.result import TuneResult
from autodl.spaces import Real
from autodl.trial import Report, Trial, TrialState
from autodl.tuner import tune


def trial(trial_id: int, scores: list[float], state: TrialState = TrialState.COMPLETED) -> Trial:
    config = {"x": trial_id}
    reports = [
        Report(trial_id, config, TrialState.RUNNING, epoch, -score, score, {"loss": -score})
        for epoch, score in enumerate(scores, start=1)
    ]
    return Trial(trial_id, config, state, reports, ended_s=1.0)


def result(*trials: Trial) -> TuneResult:
    return TuneResult(list(trials), "loss", "min", Path("runs/a"), 2.0, None, "num_trials")


def test_best_is_the_best_report_of_any_trial_the_earliest_of_equals() -> None:
    found = result(trial(0, [-3.0, -5.0]), trial(1, [-4.0, -1.0, -2.0]), trial(2, [-1.0]))
    assert found.best_trial is found.trials[1]
    assert found.best_value == 1.0
    assert found.best_config == {"x": 1}


def test_best_config_is_the_callers_own() -> None:
    found = result(trial(0, [0.5]))
    found.best_config["x"] = 99
    assert found.best_config == {"x": 0}


def test_failed_trials_count_only_where_no_other_reported() -> None:
    failed = trial(0, [-1.0], TrialState.FAILED)
    assert result(failed, trial(1, [-2.0])).best_trial.trial_id == 1
    assert result(failed, trial(1, [])).best_trial is failed


def test_without_reports_there_is_no_best_and_the_message_says_why() -> None:
    found = result(trial(0, [], TrialState.STOPPED))
    assert found.best_trial is None
    for name in ("best_config", "best_value"):
        with pytest.raises(TrialError, match="none of 1 trials reported 'loss'"):
            getattr(found, name)


def test_repr_says_the_essentials() -> None:
    shown = repr(result(trial(0, [-0.25])))
    assert "1 trials" in shown
    assert "loss (min): 0.25 (trial 0)" in shown


def test_leaderboard_has_the_best_first() -> None:
    table = result(trial(0, [-3.0]), trial(1, [-1.0]), trial(2, [])).leaderboard()
    assert table["trial_id"].tolist() == [1, 0, 2]


def test_plot_draws_and_names_what_it_cannot() -> None:
    from matplotlib.figure import Figure

    found = result(trial(0, [-3.0]), trial(1, [-1.0]))
    assert isinstance(found.plot("incumbent"), Figure)
    with pytest.raises(UnknownNameError, match="curves"):
        found.plot("pie")


def test_load_state_gives_back_what_the_reporter_saved(tmp_path: Path) -> None:
    def train(args: Any, reporter: Any) -> None:
        reporter.save({"weights": [args.x], "epoch": 1})
        reporter(loss=args.x)

    found = tune(train, {"x": Real(0, 1)}, metric="loss", num_trials=3, path=tmp_path, keep_checkpoints=1)
    best = found.best_trial
    assert best is not None
    assert found.load_state(best.trial_id) == {"weights": [best.config["x"]], "epoch": 1}
    assert TuneResult.load(tmp_path).load_state(best.trial_id)["epoch"] == 1
    worst = max(found.trials, key=lambda t: t.config["x"])
    with pytest.raises(TrialError, match="keep_checkpoints"):
        found.load_state(worst.trial_id)


def test_to_dataframe_has_a_row_for_each_report() -> None:
    table = result(trial(0, [-3.0, -2.0]), trial(1, [-1.0]), trial(2, [])).to_dataframe()
    assert table["trial_id"].tolist() == [0, 0, 1]
    assert table["resource"].tolist() == [1, 2, 1]
    assert table["loss"].tolist() == [3.0, 2.0, 1.0]
    assert table["x"].tolist() == [0, 0, 1]
    assert "feasible" not in table


def test_checkpoint_dir_is_under_the_run() -> None:
    assert result().checkpoint_dir(3) == Path("runs/a/trials/3")
