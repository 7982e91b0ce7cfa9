from __future__ import annotations

import numpy as np
import pytest

from autodl.errors import DataError, OptionError, UnknownNameError
from autodl.nas.nasbench201 import NASBench201
from autodl.nas.nasbench201_cell import as_config, search_space
from autodl.nas.nasbench201_made import made_table
from autodl.nas.nasbench201_training import CellTraining, TrainingCost
from autodl.schedulers.asha import ASHAScheduler
from autodl.simulation import simulate


@pytest.fixture(scope="module")
def bench():
    return NASBench201(made_table(seed=1))


class TestCost:
    def test_is_epochs_times_steps_times_three_forward_passes(self, bench):
        arch = bench.archs()[100]
        assert TrainingCost(bench, "cifar10")(arch, 200) == pytest.approx(200 * 98 * 3 * bench.batch_s(arch))

    def test_by_multiply_adds_where_no_batch_was_recorded(self):
        table = made_table(size=20)
        bench = NASBench201(table.drop(columns="cifar10_gpu_latency_s"))
        archs = sorted(bench.archs(), key=bench.flops)
        cost = TrainingCost(bench, "cifar10")
        assert cost(archs[0], 12) < cost(archs[-1], 12) < cost(archs[0], 200)
        assert cost(archs[0], 12) == TrainingCost(bench, "cifar10", "flops")(archs[0], 12)
        with pytest.raises(DataError, match="auto"):
            TrainingCost(bench, "cifar10", "latency")(archs[0], 12)

    def test_unknown_names(self, bench):
        for names in (("mnist", "auto"), ("cifar10", "guess")):
            with pytest.raises(UnknownNameError):
                TrainingCost(bench, *names)


class TestTraining:
    def test_a_promotion_pays_the_whole_longer_schedule(self, bench):
        training, cost = CellTraining(bench, fidelities=(12, 200)), TrainingCost(bench)
        arch = as_config(bench.archs()[7])
        first, second = training.evaluate(arch, 1), training.evaluate(arch, 2)
        assert first == ({"accuracy": bench.query(arch, epochs=12)}, cost(arch, 12))
        assert second[1] == cost(arch, 200)

    def test_one_seed_meets_one_run_and_all_runs_are_met(self, bench):
        arch = as_config(next(arch for arch in bench.archs() if bench.num_runs(arch) == 3))
        runs = {bench.query(arch, run=run) for run in range(3)}
        met = [CellTraining(bench, seed=seed).evaluate(arch, 1)[0]["accuracy"] for seed in range(20)]
        again = [CellTraining(bench, seed=seed).evaluate(arch, 1)[0]["accuracy"] for seed in range(20)]
        assert met == again
        assert set(met) == runs

    def test_repeated_runs_are_averaged_and_those_never_made_cost_nothing(self, bench):
        training = CellTraining(bench, fidelities=(200, 200, 200))
        for count in (2, 3):
            arch = as_config(next(arch for arch in bench.archs() if bench.num_runs(arch) == count))
            results = [training.evaluate(arch, level) for level in (1, 2, 3)]
            assert results[2][0]["accuracy"] == pytest.approx(bench.query(arch))
            assert (results[2][1] > 0) == (count == 3)

    @pytest.mark.parametrize("fidelities", [(), (200, 12), (90,), (12, 12, 200), (200,) * 4])
    def test_impossible_schedules(self, bench, fidelities):
        with pytest.raises(OptionError):
            CellTraining(bench, fidelities=fidelities)

    def test_searchers_run_on_it_and_asha_trains_few_cells_fully(self, bench):
        training = CellTraining(bench, "cifar10", fidelities=(12, 200))
        asha = ASHAScheduler(2, reduction_factor=4, type="promotion")
        result = simulate(
            training, search_space(), metric="accuracy", scheduler=asha, searcher="random", num_trials=80
        )
        full = [trial for trial in result.trials if trial.resource == 2]
        assert 10 <= len(full) <= 28  # a quarter, and those promoted before better ones came
        spent = sum(TrainingCost(bench)(t.config, 12 + 200 * (t.resource == 2)) for t in result.trials)
        assert spent <= 4 * result.seconds + 1e-6

    def test_the_planted_rule_rewards_search(self, bench):
        found = {}
        for searcher in ("random", "evolution"):
            best = [
                simulate(
                    CellTraining(bench, seed=seed),
                    search_space(),
                    metric="accuracy",
                    searcher=searcher,
                    num_trials=100,
                    seed=seed,
                ).best_config
                for seed in range(3)
            ]
            found[searcher] = np.mean([bench.query(config, split="test") for config in best])
        assert found["evolution"] > found["random"]
