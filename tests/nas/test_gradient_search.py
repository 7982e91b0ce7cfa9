"""What all gradient strategies share; each one's own facts are in tests/nas/strategies."""

import pytest
import torch

from autodl.errors import OptionError
from autodl.nas import Space
from autodl.nas.costs import MACs
from autodl.nas.fitting import FitOptions
from autodl.nas.gradient_options import GradientOptions
from autodl.nas.gradient_search import TRAVEL, GradientSearch
from autodl.nas.objectives import Linear
from autodl.nas.strategies.darts import DARTS
from autodl.nas.strategies.fbnet import FBNet
from autodl.nas.strategies.proxyless import ProxylessNAS
from autodl.nas.strategies.snas import SNAS
from autodl.nas.strategy import Run
from autodl.testing.mini_space import MiniNet, mini_data, mini_space
from autodl.testing.nas_strategies import TinyNet, tiny_data

METHODS = [DARTS, SNAS, FBNet, ProxylessNAS]


def test_alphas_travel_as_far_in_few_steps_as_in_many():
    space, data = Space(TinyNet), tiny_data()
    for epochs in (2, 8):
        search = GradientSearch(DARTS(), space, data, objective=None, cost=None, seed=0)
        search.run(Run("darts", epochs, default_units=1))
        moved = epochs * data.num_batches() * 0.75
        assert search.alpha_optimizer.param_groups[0]["lr"] == pytest.approx(TRAVEL / moved)
    told = DARTS(1, GradientOptions(alpha_lr=0.5))
    search = GradientSearch(told, space, data, objective=None, cost=None, seed=0)
    search.run(Run("darts", 1, default_units=1))
    assert search.alpha_optimizer.param_groups[0]["lr"] == 0.5


@pytest.mark.parametrize("method", METHODS)
def test_alphas_rest_while_weights_warm_up(method):
    search = GradientSearch(
        method(options=GradientOptions(warmup=0.5)),
        Space(TinyNet),
        tiny_data(),
        objective=None,
        cost=None,
        seed=0,
    )
    before = [alpha.detach().clone() for alpha in search.distribution.parameters()]
    weights = [weight.detach().clone() for weight in search.net.parameters()]
    at_half = []

    def note(record):
        at_half.append([alpha.detach().clone() for alpha in search.distribution.parameters()])

    search.run(Run("any", 4, default_units=1, callbacks=[note]))
    assert all(torch.equal(a, b) for a, b in zip(at_half[1], before, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(at_half[3], before, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(search.net.parameters(), weights, strict=True))


@pytest.mark.parametrize("method", METHODS)
def test_a_heavy_cost_finds_the_cheapest_architecture(method):
    space, (data, _) = mini_space(), mini_data()
    cost = MACs(space, (1, 8, 8))
    result = method().search(space, data, objective=Linear(200.0, 0.05), cost=cost, budget=3)
    cheapest = min(cost.cost(arch) for arch in space.enumerate())
    assert result.cost == cost.cost(result.best_arch) == cheapest
    costs = [record.extra["expected_cost"] for record in result.history]
    assert costs[-1] < costs[0]


def test_an_objective_needs_a_cost_with_an_expectation():
    space, data = Space(TinyNet), tiny_data()
    with pytest.raises(OptionError, match="darts lowers an expected cost"):
        DARTS().search(space, data, objective=Linear(1.0, 1.0), budget=1)
    with pytest.raises(OptionError, match="needs images"):
        DARTS().search(space, object(), budget=1)


def test_a_spaces_own_rule_derives():
    space = Space(TinyNet)
    wanted = next(iter(space.enumerate()))
    space.derive = lambda probabilities: wanted
    assert DARTS().search(space, tiny_data(), budget=1).best_arch == wanted


def test_the_derived_network_is_ordinary_and_fresh():
    space, (data, _) = mini_space(), mini_data()
    result = FBNet().search(space, data, budget=1, seed=3)
    again = space.realise(result.best_arch, seed=3)
    assert all(torch.equal(a, b) for a, b in zip(result.net.parameters(), again.parameters(), strict=True))
    assert not isinstance(result.net, MiniNet) or result.net(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


def test_candidates_are_the_derived_one_and_draws_from_the_probabilities():
    space, (data, _) = mini_space(), mini_data()
    search = GradientSearch(FBNet(), space, data, objective=None, cost=None, seed=0)
    with torch.no_grad():
        for alpha in search.distribution.alphas.values():
            alpha.copy_(torch.tensor([0.0, 9.0, 8.0, -40.0]))
    found = search.candidates(8)
    assert len(found) == 8
    assert found[0] == dict.fromkeys(space.decisions(), "conv1")
    assert {op for arch in found for op in arch.values()} == {"conv1", "pool"}
    assert len({tuple(arch.values()) for arch in found}) == 8  # all there are: 2 ** 3


def test_retraining_answers_with_the_best_candidate_by_the_objective():
    space, (data, _) = mini_space(), mini_data()
    cost = MACs(space, (1, 8, 8))
    fit = FitOptions(epochs=2)
    objective = Linear(0.3, 0.05)
    options = GradientOptions(retrain_top=4, retrain_fit=fit)
    result = FBNet(options=options).search(space, data, objective=objective, cost=cost, budget=2)
    tried = [record for record in result.history if record.extra.get("phase") == "retrain"]
    assert len(tried) == 4
    best = max(tried, key=lambda record: objective.reward(record.metric, record.cost))
    assert (result.best_arch, result.metric, result.cost) == (best.arch, best.metric, best.cost)
    assert result.net(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


def test_a_time_limit_leaves_time_for_retraining():
    options = GradientOptions(retrain_top=2, retrain_fit=FitOptions(epochs=1))
    result = DARTS(options=options).search(Space(TinyNet), tiny_data(), budget="3s")
    phases = [record.extra.get("phase") for record in result.history]
    assert result.stopped_by == "time"
    assert phases.count("retrain") >= 1
    assert result.metric is not None


def test_alphas_travel_as_far_where_time_bounds_the_steps(monkeypatch):
    now, data = [0.0], tiny_data()
    monkeypatch.setattr("autodl.nas.strategy.time.perf_counter", lambda: now[0])

    class Ticking(DARTS):
        def step(self, search, train, val):
            now[0] += 1.0
            super().step(search, train, val)

    search = GradientSearch(Ticking(), Space(TinyNet), data, objective=None, cost=None, seed=0)
    search.run(Run("darts", "40s", default_units=1000))
    assert search.alpha_optimizer.param_groups[0]["lr"] == pytest.approx(TRAVEL / (40 * 0.75))


def test_a_cost_without_an_expectation_is_recorded_where_it_does_not_count():
    space = Space(TinyNet)

    class Priced:
        def cost(self, arch):
            return 7.0

    result = DARTS().search(space, tiny_data(), cost=Priced(), budget=1)
    assert [record.cost for record in result.history] == [7.0]
