import pytest

from autodl.nas.strategies.fbnet import FBNet
from autodl.testing.mini_space import MiniTable, mini_data, mini_space
from autodl.testing.nas_strategies import StrategyContract


class TestFBNet(StrategyContract):
    def make(self):
        return FBNet()


def test_a_good_network_of_the_mini_space_is_found():
    space, (data, _) = mini_space(), mini_data()
    assert MiniTable.load().rank(FBNet().search(space, data, budget=12).best_arch) <= 3


@pytest.mark.slow
def test_mini_space_in_three_seeds():
    space, (data, _), table = mini_space(), mini_data(), MiniTable.load()
    ranks = [table.rank(FBNet().search(space, data, budget=30, seed=s).best_arch) for s in range(3)]
    assert max(ranks) <= 3
