"""Shared weights and a controller in turn."""

from __future__ import annotations

import pytest

from autodl.nas import FitOptions, Space
from autodl.nas.controller_learner import ControllerOptions
from autodl.nas.costs import Params
from autodl.nas.objectives import Power
from autodl.nas.strategies.enas import ENAS
from autodl.testing.mini_space import MiniTable, mini_data, mini_space
from autodl.testing.nas_strategies import StrategyContract, TinyNet, tiny_data


class TestENASContract(StrategyContract):
    def make(self) -> ENAS:
        return ENAS(FitOptions(epochs=3), ControllerOptions(hidden=8, batch=2), controller_steps=2, samples=4)


class TestIndependentController(StrategyContract):
    def make(self) -> ENAS:
        options = ControllerOptions(kind="independent", batch=2)
        return ENAS(FitOptions(epochs=2), options, controller_steps=1, samples=2, retrain_top=1)


def test_controller_comes_to_cheap_architectures_when_only_cost_counts():
    space = Space(TinyNet)
    strategy = ENAS(
        FitOptions(epochs=6), ControllerOptions(kind="independent", lr=0.2), controller_steps=5, samples=4
    )
    result = strategy.search(
        space, tiny_data(), objective=Power(10.0, under=-2.0, over=-2.0), cost=Params(space)
    )
    assert all(shares[0] < 0.05 for shares in result.probabilities.values())  # "conv" has all the weights
    assert "conv" not in result.best_arch.values()


def test_result_is_the_best_of_those_scored():
    result = ENAS(FitOptions(epochs=2), samples=8).search(Space(TinyNet), tiny_data())
    scored = [record for record in result.history if record.extra["phase"] == "scoring"]
    assert result.metric == max(record.metric for record in scored)


@pytest.mark.slow
def test_mini_space_in_three_seeds():
    space, (data, _), table = mini_space(), mini_data(), MiniTable.load()
    ranks = [table.rank(ENAS().search(space, data, seed=seed).best_arch) for seed in range(3)]
    assert sorted(ranks)[1] <= 5
