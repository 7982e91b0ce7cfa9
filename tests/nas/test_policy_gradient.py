"""The estimators' means are gradients of the expected reward, found by enumeration."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from autodl.errors import OptionError
from autodl.nas import Independent, LSTMController, OpChoice, Space
from autodl.nas.policy_gradient import Baseline, clipped_loss, reinforce_loss
from autodl.rng import torch_generator


def small_space() -> Space:
    return Space(
        lambda: nn.Sequential(*(OpChoice({c: nn.Identity() for c in "abc"}, label=f"d{i}") for i in range(2)))
    )


def reward(arch) -> float:
    return {"a": 0.2, "b": 0.5, "c": 0.9}[arch["d0"]] * {"a": 0.3, "b": 1.0, "c": 0.6}[arch["d1"]]


def flat_grad(net, value) -> torch.Tensor:
    return torch.cat([g.flatten() for g in torch.autograd.grad(value, list(net.parameters()))])


@pytest.fixture(params=["independent", "lstm"])
def controller(request):
    space = small_space()
    if request.param == "independent":
        return Independent(space, init_std=0.5, seed=0)
    return LSTMController(space, hidden=4, seed=0)


def expected_reward_gradient(controller) -> torch.Tensor:
    archs = list(small_space().enumerate())
    value = sum(controller.log_prob(arch).exp() * reward(arch) for arch in archs)
    return flat_grad(controller, value)


@pytest.mark.parametrize("baseline", [0.0, 0.37])
def test_mean_over_all_architectures_is_the_gradient_of_the_expected_reward(controller, baseline):
    archs = list(small_space().enumerate())
    mean = 0.0
    for arch in archs:
        log_prob = controller.log_prob(arch)
        loss = reinforce_loss(log_prob[None], torch.tensor([reward(arch) - baseline]))
        mean = mean - log_prob.detach().exp() * flat_grad(controller, loss)
    assert torch.allclose(mean, expected_reward_gradient(controller), atol=1e-6)


def test_drawn_gradients_have_that_mean_and_a_baseline_lowers_their_variance():
    controller = Independent(small_space(), init_std=0.5, seed=0)
    exact = expected_reward_gradient(controller)
    generator = torch_generator(0, "test")
    drawn = [controller.sample(generator) for _ in range(3000)]
    rewards = torch.tensor([reward(arch) for arch in drawn])
    score = {str(a): flat_grad(controller, controller.log_prob(a)) for a in small_space().enumerate()}
    scores = torch.stack([score[str(arch)] for arch in drawn])
    plain = scores * rewards[:, None]
    # The baseline of each batch of 8 knows earlier batches only.
    kept = Baseline(0.9)
    advantages = [a for i in range(0, 3000, 8) for a in kept.advantages(rewards[i : i + 8].tolist())]
    compared = scores * torch.tensor(advantages)[:, None]
    for found in (plain, compared):
        error = found.std(0) / 3000**0.5
        assert ((found.mean(0) - exact).abs() < 4 * error).all()
    assert compared.var(0).sum() < 0.6 * plain.var(0).sum()


def test_a_baseline_does_not_know_the_rewards_it_is_compared_with():
    baseline = Baseline(0.5)
    assert baseline.advantages([1.0, 2.0, 6.0]) == pytest.approx([1 - 4, 2 - 3.5, 6 - 1.5])
    assert baseline.value == 3.0
    assert baseline.advantages([5.0, 5.0]) == [2.0, 2.0]
    assert baseline.value == 4.0


def test_first_batch_of_one_teaches_nothing():
    assert Baseline(0.5).advantages([0.8]) == [0.0]


def test_without_a_baseline_rewards_are_taken_as_they_are():
    baseline = Baseline(None)
    assert baseline.advantages([0.2, 0.4]) == [0.2, 0.4]
    assert baseline.advantages([0.3]) == [0.3]


def test_a_baseline_goes_through_its_state():
    first, second = Baseline(), Baseline()
    first.advantages([1.0, 3.0])
    second.load_state_dict(first.state_dict())
    assert second.advantages([4.0]) == [2.0]


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_outside_its_range_is_refused(decay):
    with pytest.raises(OptionError, match="decay"):
        Baseline(decay)


@pytest.mark.parametrize(
    ("ratio", "advantage", "moves"),
    [
        (1.0, 1.0, True),
        (1.3, 1.0, False),  # outside, and would go further out
        (1.3, -1.0, True),  # outside, on its way back
        (0.7, -1.0, False),
        (0.7, 1.0, True),
        (1.1, 1.0, True),
        (0.9, -1.0, True),
    ],
)
def test_ppo_rests_where_the_ratio_left_the_interval_in_the_advantages_direction(ratio, advantage, moves):
    log_prob = torch.tensor([ratio]).log().requires_grad_()
    clipped_loss(log_prob, torch.zeros(1), torch.tensor([advantage]), clip=0.2).backward()
    expected = -advantage * ratio if moves else 0.0
    assert log_prob.grad.item() == pytest.approx(expected)


def test_ppo_at_the_controller_that_drew_is_reinforce(controller):
    archs = list(small_space().enumerate())[:4]
    log_probs = torch.stack([controller.log_prob(arch) for arch in archs])
    advantages = torch.tensor([0.3, -0.2, 0.7, 0.1])
    ppo = flat_grad(controller, clipped_loss(log_probs, log_probs.detach(), advantages))
    log_probs = torch.stack([controller.log_prob(arch) for arch in archs])
    assert torch.allclose(ppo, flat_grad(controller, reinforce_loss(log_probs, advantages)), atol=1e-7)
