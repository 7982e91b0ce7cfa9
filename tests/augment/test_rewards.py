from __future__ import annotations

import math

import pytest
import torch

from autodl.augment.rewards import any_of, expected_any_of, image_losses, min_loss, policy_rewards

CORRECT = torch.tensor(
    [
        [1, 0, 0, 0],
        [1, 0, 1, 0],
        [1, 0, 0, 0],
        [1, 1, 0, 0],
        [1, 0, 0, 0],
    ],
    dtype=torch.bool,
)


def test_an_image_counts_when_any_of_its_draws_is_right() -> None:
    assert any_of(CORRECT) == 3 / 4


def test_the_least_loss_is_each_images_own() -> None:
    losses = torch.tensor([[3.0, 9.0], [1.0, 8.0]])
    assert min_loss(losses) == (1 + 8) / 2  # one minimum for the whole batch would be 1


def test_rewards_of_logits() -> None:
    labels = torch.tensor([0, 1, 1, 0])
    right = torch.nn.functional.one_hot(labels, 2)
    logits = 4.0 * torch.where(CORRECT[..., None], right, 1 - right)
    rewards = policy_rewards(logits, labels)
    good, bad = math.log1p(math.exp(-4)), math.log1p(math.exp(4))
    assert rewards["any_of"] == 3 / 4
    assert rewards["accuracy"] == 7 / 20
    assert rewards["min_loss"] == pytest.approx(-(3 * good + bad) / 4, rel=1e-5)
    assert rewards["loss"] == pytest.approx(-(7 * good + 13 * bad) / 20, rel=1e-5)
    assert image_losses(logits, labels).shape == (5, 4)


def test_closed_form_agrees_with_draws() -> None:
    generator = torch.Generator().manual_seed(0)
    chance = torch.rand(40, generator=generator)
    drawn = torch.rand(1000, 5, 40, generator=generator) < chance
    rewards = drawn.any(1).double().mean(1)
    error = float(rewards.std()) / math.sqrt(1000)
    assert abs(float(expected_any_of(chance)) - float(rewards.mean())) < 3 * error
    assert expected_any_of(torch.tensor([[0.5], [1.0]]), draws=2).tolist() == [0.75, 1.0]
