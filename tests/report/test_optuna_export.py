from __future__ import annotations

import pytest

from autodl.spaces import Bool, Categorical, Dict, Int, Real, SearchSpace
from autodl.tuner import tune

optuna = pytest.importorskip("optuna")

SPACE = SearchSpace(
    {
        "lr": Real(1e-4, 1.0, log=True),
        "net": Categorical({"deep": Dict(depth=Int(2, 8)), "flat": None}),
        "flip": Bool(),
    }
)


def train(args, reporter) -> None:
    if args.lr > 0.3:
        raise ValueError("diverged")
    for epoch in (1, 2, 3):
        reporter(epoch=epoch, loss=args.lr / epoch, size=args.lr)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder = tmp_path_factory.mktemp("run")
    result = tune(train, SPACE, metric="loss", num_trials=20, path=folder / "mine")
    storage = f"sqlite:///{folder / 'study.db'}"
    result.to_optuna(storage)
    return result, optuna.load_study(study_name="mine", storage=storage)


def test_optuna_reads_the_same_best_from_the_file(exported):
    result, study = exported
    assert study.best_value == result.best_value
    assert study.best_params == result.best_config
    assert study.best_trial.number == result.best_trial.trial_id
    assert study.direction.name == "MINIMIZE" and study.metric_names == ["loss"]


def test_trials_keep_state_curve_times_and_active_parameters_only(exported):
    result, study = exported
    assert len(study.trials) == 20
    for mine, theirs in zip(result.trials, study.trials, strict=True):
        assert theirs.params == mine.config
        assert ("net/deep/depth" in theirs.params) == (mine.config["net"] == "deep")
        failed = mine.config["lr"] > 0.3
        assert theirs.state.name == ("FAIL" if failed else "COMPLETE")
        assert theirs.intermediate_values == {r.resource: r.value for r in mine.reports}
        assert theirs.duration.total_seconds() == pytest.approx(mine.ended_s - mine.started_s, abs=1e-4)
        assert ("diverged" in theirs.user_attrs.get("error", "")) == failed
    first = study.trials[0].distributions
    assert first["lr"] == optuna.distributions.FloatDistribution(1e-4, 1.0, log=True)
    assert first["net"].choices == ("deep", "flat")
    assert len(optuna.importance.get_param_importances(study)) > 0


def test_several_metrics_and_constraints_are_known_to_optuna():
    result = tune(
        train, SPACE, metric=["loss", "size"], mode="min", constraints={"size": ">= 0.01"}, num_trials=20
    )
    study = result.to_optuna(study_name="two")
    assert {t.number for t in study.best_trials} == {t.trial_id for t in result.pareto_front()}
