"""Time is shared out between training, scoring and retraining."""

from __future__ import annotations

from autodl.nas import Budget, FitOptions, Space
from autodl.nas.strategies.single_path import SinglePath
from autodl.testing.nas_strategies import TinyNet, tiny_data


def test_a_time_limit_leaves_time_for_scoring_and_retraining():
    strategy = SinglePath(FitOptions(epochs=10), retrain_top=2, retrain_fit=FitOptions(epochs=1))
    result = strategy.search(Space(TinyNet), tiny_data(), budget=Budget(units=100_000, seconds=6.0))
    phases = [record.extra["phase"] for record in result.history]
    assert result.stopped_by == "time"
    assert phases.count("training") > 1
    assert phases.count("scoring") >= 1
    assert "retrain" in phases


def test_a_callback_that_ends_the_training_ends_the_search():
    result = SinglePath(FitOptions(epochs=5)).search(
        Space(TinyNet), tiny_data(), callbacks=[lambda record: record.step == 1]
    )
    assert len(result.history) == 2
    assert result.stopped_by == "callback"
