"""How a policy is scored: on what theta makes of several draws of the same images.

Sources: S. Lim et al., "Fast AutoAugment" (NeurIPS 2019), section 3.2; an image counts as right
when any of its draws is right, as the released code has it. The closed form is ours: a draw is
right with probability q, independently of the others, so that any of k is with 1 - (1 - q)^k.
"""

from __future__ import annotations

import torch
from torch import Tensor

DRAWS = 5
REWARDS = ("any_of", "min_loss", "accuracy", "loss")
"""Names of the entries of `policy_rewards`, larger is better in all."""


def any_of(correct: Tensor) -> float:
    """Share of images that are right in any draw.

    Args:
        correct: (draws, n) bool.
    """
    return float(correct.any(0).double().mean())


def min_loss(losses: Tensor) -> float:
    """Mean over images of the least loss among its draws.

    Args:
        losses: (draws, n); the minimum is taken over each image's own draws.
    """
    return float(losses.amin(0).double().mean())


def policy_rewards(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """All rewards of one policy.

    Args:
        logits: (draws, n, k) of the same n images, in the same order in each draw.
        labels: (n,) int64.

    Returns:
        For each of `REWARDS` a number that is better when larger (losses are negated).
    """
    correct = logits.argmax(2) == labels
    losses = image_losses(logits, labels)
    return {
        "any_of": any_of(correct),
        "min_loss": -min_loss(losses),
        "accuracy": float(correct.double().mean()),
        "loss": -float(losses.double().mean()),
    }


def image_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """(..., n) cross entropy of logits (..., n, k)."""
    chosen = labels.expand(logits.shape[:-1]).unsqueeze(-1)
    return -logits.float().log_softmax(-1).gather(-1, chosen).squeeze(-1)


def expected_any_of(chance: Tensor, draws: int = DRAWS) -> Tensor:
    """Expected share of images that are right in any of several draws.

    Args:
        chance: (..., n) probability that one draw of an image is right.
        draws: how many draws.

    Returns:
        (...) means over images.
    """
    wrong = 1 - chance
    power = torch.ones_like(wrong)
    for _ in range(draws):
        power = power * wrong
    return 1 - power.mean(-1)
