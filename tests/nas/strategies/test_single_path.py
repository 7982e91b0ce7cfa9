"""One super-net ranks 64 networks well enough that their best is among its first eight."""

from __future__ import annotations

import pytest
from scipy.stats import kendalltau

from autodl.errors import OptionError
from autodl.nas import FitOptions, Run, SharedWeights, Space
from autodl.nas.costs import Params
from autodl.nas.objectives import Constraint
from autodl.nas.shared_training import SharedTraining, fair_archs
from autodl.nas.strategies.single_path import SinglePath
from autodl.testing.mini_space import FIT, MiniTable, mini_data, mini_space
from autodl.testing.nas_strategies import StrategyContract, TinyNet, tiny_data


class TestSinglePathContract(StrategyContract):
    def make(self) -> SinglePath:
        return SinglePath(
            FitOptions(epochs=3), evaluations=6, population=3, retrain_top=2, retrain_fit=FitOptions(epochs=1)
        )


class TestFairWithoutRetraining(StrategyContract):
    def make(self) -> SinglePath:
        return SinglePath(FitOptions(epochs=3), fair=True, retrain_top=0)


def taus(epochs: int, seed: int) -> tuple[float, float]:
    """Of a fair super-net: with and without recalibration."""
    space, (data, _), table = mini_space(), mini_data(), MiniTable.load()
    training = SharedTraining(space, data, FitOptions(epochs=epochs), seed)
    run = Run("test", epochs, default_units=1)
    for epoch in run.steps():
        training.epoch(epoch, lambda generator: fair_archs(space, generator), run)
    truth = [table.of(arch) for arch in space.enumerate()]
    found = []
    for batches in (4, 0):
        shared = SharedWeights(training.net, data, recalibration=batches, seed=seed)
        found.append(kendalltau([shared.evaluate(a).metric for a in space.enumerate()], truth).statistic)
    return found[0], found[1]


def test_recalibrated_statistics_rank_far_better():
    recalibrated, as_trained = taus(12, 0)
    assert recalibrated > as_trained + 0.1
    assert recalibrated > 0.4


@pytest.mark.slow
def test_ranking_of_the_mini_space_in_three_seeds():
    found = [taus(60, seed) for seed in range(3)]
    assert min(recalibrated for recalibrated, _ in found) >= 0.65
    assert all(recalibrated > as_trained + 0.1 for recalibrated, as_trained in found)


@pytest.mark.slow
def test_best_of_eight_retrained_is_close_to_the_best_of_the_space():
    strategy = SinglePath(retrain_fit=FIT)
    space, (data, _), table = mini_space(), mini_data(), MiniTable.load()
    regrets = [table.regret(strategy.search(space, data, seed=seed).best_arch) for seed in range(3)]
    assert max(regrets) <= 0.02


def test_constraint_is_kept_by_all_that_is_scored():
    space = Space(TinyNet)
    cost = Params(space)
    limit = sorted(cost.cost(arch) for arch in space.enumerate())[4]
    for evaluations in (100, 5):  # the whole space, and evolution
        result = SinglePath(
            FitOptions(epochs=1), evaluations=evaluations, population=2, retrain_top=0
        ).search(space, tiny_data(), objective=Constraint(limit), cost=cost)
        scored = [record for record in result.history if record.extra["phase"] == "scoring"]
        assert scored and all(record.cost <= limit for record in scored)


def test_evolution_scores_each_architecture_once_and_finds_the_best():
    space, data = Space(TinyNet), tiny_data()
    whole = SinglePath(FitOptions(epochs=3), evaluations=9, retrain_top=0).search(space, data)
    evolved = SinglePath(FitOptions(epochs=3), evaluations=8, population=3, retrain_top=0).search(space, data)
    scored = [str(record.arch) for record in evolved.history if record.extra["phase"] == "scoring"]
    assert len(scored) == len(set(scored)) == 8
    assert evolved.metric == whole.metric


def test_result_has_the_super_nets_weights_where_nothing_is_retrained():
    result = SinglePath(FitOptions(epochs=3), retrain_top=0).search(Space(TinyNet), tiny_data())
    other = Space(TinyNet).realise(result.best_arch)
    assert any((a != b).any() for a, b in zip(result.net.parameters(), other.parameters(), strict=True))


def test_an_evaluator_cannot_train_a_super_net(tmp_path):
    with pytest.raises(OptionError, match="single_path trains a super-net and needs images"):
        SinglePath().search(Space(TinyNet), object(), path=tmp_path / "run")
    assert not (tmp_path / "run").exists()
