"""The engine's searchers on architectures: alone, with a recipe, with fidelities."""

from __future__ import annotations

import pytest

from autodl.errors import OptionError
from autodl.nas import FitOptions, Space
from autodl.nas.evaluators import Evaluation
from autodl.nas.objectives import Power
from autodl.nas.strategies.engine_search import EngineSearch
from autodl.searchers import RandomSearcher
from autodl.spaces import Categorical, Real
from autodl.testing.mini_space import MiniTable, mini_key, mini_space
from autodl.testing.nas_strategies import StrategyContract, TinyNet, tiny_data


class TestEngineSearchContract(StrategyContract):
    def make(self) -> EngineSearch:
        return EngineSearch("evolution", fit=FitOptions(epochs=1))


class TestWithRetraining(StrategyContract):
    def make(self) -> EngineSearch:
        return EngineSearch(RandomSearcher(), fit=FitOptions(epochs=1), retrain_top=1)


class Table:
    """The mini space's accuracies; a short training sees a part of them."""

    def __init__(self) -> None:
        self.table, self.asked = MiniTable.load(), []

    def evaluate(self, arch, *, resource=None):
        self.asked.append(resource)
        share = 1.0 if resource is None else resource / 20
        return Evaluation(share * self.table.of(arch), cost=float(1 + mini_key(arch).count("conv3")))


@pytest.mark.parametrize("searcher", ["random", "evolution", "tpe"])
def test_a_space_that_is_tried_whole_gives_its_best(searcher):
    result = EngineSearch(searcher).search(mini_space(), Table(), budget=64)
    assert MiniTable.load().rank(result.best_arch) == 1
    assert len({mini_key(record.arch) for record in result.history}) == 64


def test_evolution_finds_a_good_network_in_a_third_of_the_space():
    table = MiniTable.load()
    found = [
        table.rank(EngineSearch("evolution").search(mini_space(), Table(), budget=24, seed=s).best_arch)
        for s in range(4)
    ]
    assert sorted(found)[2] <= 4


def test_asha_asks_for_long_trainings_of_few_architectures():
    table = Table()
    result = EngineSearch("random", "asha", resources=(1, 5, 10, 20)).search(mini_space(), table, budget=27)
    assert table.asked.count(20) < table.asked.count(1) / 2
    assert {record.extra["resource"] for record in result.history} > {1}
    assert MiniTable.load().rank(result.best_arch) <= 16


def test_an_objective_counts_the_evaluators_cost():
    result = EngineSearch("random").search(
        mini_space(), Table(), budget=64, objective=Power(1.0, under=0.0, over=-1.0)
    )
    assert "conv3" not in mini_key(result.best_arch)
    assert result.cost == 1.0
    best = max(result.history, key=lambda record: record.extra["reward"])
    assert best.arch == result.best_arch


def test_recipe_is_searched_with_the_architecture_and_noted():
    strategy = EngineSearch(
        "random",
        fit=FitOptions(epochs=2),
        recipe={"lr": Real(0.01, 0.5, log=True), "epochs": Categorical(1, 2)},
    )
    result = strategy.search(Space(TinyNet), tiny_data(), budget=6)
    recipes = [record.extra["recipe"] for record in result.history]
    assert len({recipe["lr"] for recipe in recipes}) == 6
    assert all(record.extra["resource"] == record.extra["recipe"]["epochs"] for record in result.history)


def test_a_rate_that_teaches_nothing_is_found_out():
    strategy = EngineSearch(
        "random", fit=FitOptions(epochs=4), recipe={"lr": Categorical(1e-7, 0.1)}, retrain_top=0
    )
    result = strategy.search(Space(TinyNet), tiny_data(), budget=8)
    best = max(result.history, key=lambda record: record.metric)
    assert best.extra["recipe"] == {"lr": 0.1}


@pytest.mark.parametrize(
    ("recipe", "message"),
    [({"depth": Real(0, 1)}, "depth is none of these"), ({"lr": Real(0, 1)}, "NASData")],
)
def test_a_recipe_that_cannot_be_used_is_refused(recipe, message):
    with pytest.raises(OptionError, match=message):
        EngineSearch(recipe=recipe).search(mini_space(), Table() if "lr" in recipe else tiny_data(), budget=1)


@pytest.mark.slow  # two processes that import torch
def test_two_workers_train_all_trials_and_a_callback_ends_them():
    strategy = EngineSearch("random", "asha", fit=FitOptions(epochs=2), num_workers=2)
    result = strategy.search(Space(TinyNet), tiny_data(), budget=4)
    assert len(result.history) == 4 and result.stopped_by == "budget"
    assert len({str(record.arch) for record in result.history}) == 4
    result = strategy.search(Space(TinyNet), tiny_data(), budget=4, callbacks=[lambda record: True])
    assert len(result.history) == 1 and result.stopped_by == "callback"
