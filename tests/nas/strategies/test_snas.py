import pytest

from autodl.nas.strategies.snas import SNAS
from autodl.testing.mini_space import MiniTable, mini_data, mini_space
from autodl.testing.nas_strategies import StrategyContract


class TestSNAS(StrategyContract):
    def make(self):
        return SNAS()


def test_the_temperature_falls_and_samples_become_hard():
    space, (data, _) = mini_space(), mini_data()
    result = SNAS().search(space, data, budget=4)
    temperatures = [record.extra["temperature"] for record in result.history]
    assert temperatures == sorted(temperatures, reverse=True)
    assert 0.03 < temperatures[-1] < temperatures[0] <= 1.0


@pytest.mark.slow
def test_mini_space_in_three_seeds():
    space, (data, _), table = mini_space(), mini_data(), MiniTable.load()
    ranks = [table.rank(SNAS().search(space, data, budget=30, seed=s).best_arch) for s in range(3)]
    assert max(ranks) <= 3
