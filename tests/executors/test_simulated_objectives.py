from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from autodl.errors import OptionError, TrialError
from autodl.executors.simulated_objectives import (
    CurveObjective,
    FunctionObjective,
    SimulatedObjective,
    TableObjective,
)


def test_function_returns_a_number_or_metrics() -> None:
    number = FunctionObjective(lambda config, epoch: config["x"] / epoch, max_resource=4, metric="error")
    assert isinstance(number, SimulatedObjective)
    assert number.evaluate({"x": 2.0}, 2) == ({"error": 1.0}, 1.0)
    metrics = FunctionObjective(
        lambda config, epoch: {"a": 1, "b": 2.0}, seconds=lambda config, epoch: epoch * config["x"]
    )
    assert metrics.evaluate({"x": 2.0}, 3) == ({"a": 1, "b": 2.0}, 6.0)


def test_curve_is_computed_once_a_config() -> None:
    calls = []

    def curve(config):
        calls.append(config["x"])
        return np.array([3.0, 2.0]) * config["x"], np.array([1.0, 5.0])

    objective = CurveObjective(curve, max_resource=2)
    for epoch in (1, 2):
        for x in (1.0, 2.0):
            assert objective.evaluate({"x": x}, epoch) == ({"loss": (4 - epoch) * x}, (1.0, 5.0)[epoch - 1])
    assert calls == [1.0, 2.0]


def test_curve_with_one_duration_for_all_epochs() -> None:
    objective = CurveObjective(lambda config: ([1.0, 2.0], np.float64(7)), max_resource=2)
    assert objective.evaluate({}, 2) == ({"loss": 2.0}, 7.0)


def test_curve_that_is_too_short_says_so() -> None:
    with pytest.raises(TrialError, match="1 values and 1 durations; max_resource=3"):
        CurveObjective(lambda config: ([1.0], 1.0), max_resource=3).evaluate({"x": 1}, 1)


def test_table_with_epochs_conditions_and_costs() -> None:
    frame = pd.DataFrame(
        {
            "opt": ["sgd", "sgd", "adam", "adam"],
            "momentum": [0.9, 0.9, None, None],  # active under sgd only
            "epoch": [1, 2, 1, 2],
            "error": [0.5, 0.4, 0.6, 0.3],
            "cost": [1.0, 2.0, 3.0, 4.0],
        }
    )
    table = TableObjective(
        frame, labels=["opt", "momentum"], metrics=["error"], resource="epoch", seconds="cost"
    )
    assert table.max_resource == 2
    assert table.evaluate({"opt": "sgd", "momentum": 0.9}, 2) == ({"error": 0.4}, 2.0)
    assert table.evaluate({"opt": "adam"}, 2) == ({"error": 0.3}, 4.0)
    assert table.values("opt") == ("adam", "sgd")
    assert table.values("momentum") == (0.9,)
    with pytest.raises(TrialError, match="no row"):
        table.evaluate({"opt": "sgd", "momentum": 0.5}, 1)


def test_table_leaves_out_missing_metrics_and_takes_arrays() -> None:
    table = TableObjective(
        {"x": np.array([1, 2]), "a": np.array([0.5, np.nan]), "b": np.array([1, 2])},
        labels=["x"],
        metrics=["a", "b"],
    )
    assert table.evaluate({"x": 2}, 1) == ({"b": 2.0}, 1.0)


def test_table_errors_name_the_columns() -> None:
    with pytest.raises(OptionError, match=r"lacks the columns \['z'\]"):
        TableObjective({"x": [1], "y": [1.0]}, labels=["x", "z"], metrics=["y"])
    with pytest.raises(OptionError, match="1 of 2 rows repeat"):
        TableObjective({"x": [1, 1], "y": [1.0, 2.0]}, labels=["x"], metrics=["y"])
    with pytest.raises(OptionError, match="no rows"):
        TableObjective({"x": [], "y": []}, labels=["x"], metrics=["y"])


@pytest.mark.parametrize("epochs", [0, True, 2.0])
def test_epochs_must_be_whole(epochs) -> None:
    with pytest.raises(OptionError, match="max_resource"):
        FunctionObjective(lambda config, epoch: 1.0, max_resource=epochs)
