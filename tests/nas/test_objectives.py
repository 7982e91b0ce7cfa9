import math

import pytest
import torch

from autodl.errors import OptionError
from autodl.nas.objectives import Constraint, Linear, LogProduct, MetricOnly, Power

PROXYLESS = LogProduct(0.2, 0.3, 75.0)
ALL = [Power(75.0), LogProduct(), PROXYLESS, Linear(0.5, 75.0), Constraint(60.0), MetricOnly()]


def test_power_is_the_metric_at_the_target():
    assert Power(75.0).reward(0.7, 75.0) == 0.7


def test_soft_power_trades_twice_the_latency_for_five_percent():
    """MnasNet's rule for its exponent: 5 % more accuracy at twice the latency is as good."""
    even = Power(75.0).reward(0.7 * 1.05, 150.0)
    assert even == pytest.approx(0.7, rel=1e-3)
    assert Power(75.0).reward(0.5 * 1.05**2, 300.0) == pytest.approx(0.5, rel=2e-3)


def test_hard_power_is_flat_under_the_target_and_falls_over_it():
    hard = Power(75.0, under=0.0, over=-1.0)
    assert hard.reward(0.7, 10.0) == hard.reward(0.7, 75.0) == 0.7
    assert hard.reward(0.7, 150.0) == pytest.approx(0.35)


def test_the_loss_of_power_is_minus_the_logarithm_of_its_reward():
    for cost in (10.0, 75.0, 200.0):
        power = Power(75.0, under=-0.03, over=-0.2)
        loss = power.loss(torch.tensor(-math.log(0.7)), torch.tensor(cost))
        assert float(loss) == pytest.approx(-math.log(power.reward(0.7, cost)), rel=1e-5)


def test_log_product_with_beta_zero_leaves_the_cost_out():
    objective = LogProduct(alpha=1.0, beta=0.0)
    cost = torch.tensor(30.0, requires_grad=True)
    loss = objective.loss(torch.tensor(0.8), cost)
    assert float(loss.detach()) == pytest.approx(0.8)
    loss.backward()
    assert float(cost.grad) == 0.0


def test_log_product_at_the_reference_is_alpha_times_the_loss():
    assert float(PROXYLESS.loss(torch.tensor(0.8), torch.tensor(75.0))) == pytest.approx(0.16)


@pytest.mark.parametrize("objective", ALL, ids=repr)
def test_more_cost_is_never_better_and_more_accuracy_always_is(objective):
    costs = [2.0, 30.0, 59.0, 74.0, 90.0, 500.0]
    rewards = [objective.reward(0.6, cost) for cost in costs]
    assert rewards == sorted(rewards, reverse=True)
    losses = [float(objective.loss(torch.tensor(0.6), torch.tensor(cost))) for cost in costs]
    assert losses == sorted(losses)
    assert objective.reward(0.7, 50.0) > objective.reward(0.6, 50.0)


def test_a_constraint_ranks_every_allowed_architecture_first():
    objective = Constraint(60.0)
    assert objective.reward(0.0, 60.0) > objective.reward(1.0, 60.1) > objective.reward(1.0, 61.0)


def test_the_gradient_of_linear_is_its_weight_over_the_reference():
    cost = torch.tensor(30.0, requires_grad=True)
    Linear(0.5, 75.0).loss(torch.tensor(0.8), cost).backward()
    assert float(cost.grad) == pytest.approx(0.5 / 75.0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Power(0.0),
        lambda: Power(1.0, under=0.1),
        lambda: LogProduct(reference=0.5),
        lambda: LogProduct(beta=-1.0),
        lambda: Linear(-1.0, 1.0),
        lambda: Constraint(math.inf),
        lambda: LogProduct().reward(0.5, 0.2),
        lambda: LogProduct().loss(torch.tensor(0.5), torch.tensor(0.2)),
    ],
)
def test_what_would_reward_cost_is_refused(make):
    with pytest.raises(OptionError):
        make()
