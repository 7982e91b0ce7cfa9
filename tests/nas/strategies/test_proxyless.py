import pytest
import torch

from autodl.errors import OptionError
from autodl.nas.gradient_search import GradientSearch
from autodl.nas.strategies.proxyless import ProxylessNAS
from autodl.nas.strategy import Run
from autodl.testing.mini_space import MiniTable, mini_data, mini_space
from autodl.testing.nas_strategies import StrategyContract


class TestGradient(StrategyContract):
    def make(self):
        return ProxylessNAS()


class TestReinforce(StrategyContract):
    def make(self):
        return ProxylessNAS("reinforce")


def test_other_updates_are_refused():
    with pytest.raises(OptionError, match="update is"):
        ProxylessNAS("both")


def test_a_step_moves_two_probabilities_of_each_decision():
    space, (data, _) = mini_space(), mini_data()
    method = ProxylessNAS()
    search = GradientSearch(method, space, data, objective=None, cost=None, seed=0)
    search.alpha_optimizer.param_groups[0]["lr"] = 0.1
    batch, val = next(data.in_order("train", 50)), next(data.in_order("val", 50))
    for _ in range(3):
        before = {k: p.detach().clone() for k, p in search.distribution.probabilities().items()}
        method.step(search, batch, val)
        after = {k: p.detach() for k, p in search.distribution.probabilities().items()}
        for label in before:
            moved = ~torch.isclose(before[label], after[label], rtol=1e-5)
            assert int(moved.sum()) == 2


def test_weights_of_paths_that_were_not_drawn_stay():
    """Momentum and weight decay must not move them either."""
    space, (data, _) = mini_space(), mini_data()
    method = ProxylessNAS()
    search = GradientSearch(method, space, data, objective=None, cost=None, seed=0)
    batch = next(data.in_order("train", 50))
    for _ in range(4):
        before = {name: weight.detach().clone() for name, weight in search.net.named_parameters()}
        method.step(search, batch, None)
        idle = [name for name, weight in search.net.named_parameters() if weight.grad is None]
        assert idle
        for name, weight in search.net.named_parameters():
            assert torch.equal(weight, before[name]) == (name in idle)


def test_reinforce_compares_with_rewards_before():
    """The first reward has nothing to be compared with, and moves no alpha."""
    space, (data, _) = mini_space(), mini_data()
    method = ProxylessNAS("reinforce")
    search = GradientSearch(method, space, data, objective=None, cost=None, seed=0)
    alphas = [alpha.detach().clone() for alpha in search.distribution.parameters()]
    batch, val = next(data.in_order("train", 50)), next(data.in_order("val", 50))
    method.step(search, batch, val)
    assert all(torch.equal(a, b) for a, b in zip(search.distribution.parameters(), alphas, strict=True))
    assert not torch.isnan(search.distribution.get_buffer("baseline"))


def test_a_good_network_of_the_mini_space_is_found():
    space, (data, _) = mini_space(), mini_data()
    assert MiniTable.load().rank(ProxylessNAS().search(space, data, budget=30).best_arch) <= 3


@pytest.mark.slow
@pytest.mark.parametrize("update", ["gradient", "reinforce"])
def test_mini_space_in_three_seeds(update):
    space, (data, _), table = mini_space(), mini_data(), MiniTable.load()
    ranks = []
    for seed in range(3):
        search = GradientSearch(ProxylessNAS(update), space, data, objective=None, cost=None, seed=seed)
        ranks.append(table.rank(search.run(Run("proxyless", 100, default_units=1)).best_arch))
    assert max(ranks) <= 3
