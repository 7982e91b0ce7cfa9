"""Losses whose gradients raise the probability of good architectures.

Sources: Williams, "Simple statistical gradient-following algorithms", 1992 (REINFORCE); Schulman et
al., "Proximal Policy Optimization Algorithms", 2017, equation 7.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from autodl.errors import OptionError


class Baseline:
    """What a reward is compared with: a moving mean of the rewards before it.

    A reward that had a part in its own baseline would bias the gradient, so a batch is compared with
    earlier batches; the first one, each reward with the mean of the others.

    Args:
        decay: of the mean, each batch, in [0, 1); None: rewards are taken as they are.

    Attributes:
        value: the present mean; None before the first batch.
    """

    def __init__(self, decay: float | None = 0.9) -> None:
        if decay is not None and not 0 <= decay < 1:
            raise OptionError(f"a baseline's decay lies in [0, 1), got {decay!r}")
        self.decay = decay
        self.value: float | None = None

    def advantages(self, rewards: Sequence[float]) -> list[float]:
        """Rewards less the baseline; then they enter it.

        Args:
            rewards: of one batch, not empty.
        """
        if self.decay is None:
            return list(rewards)
        mean = sum(rewards) / len(rewards)
        if self.value is None:
            others = max(1, len(rewards) - 1)  # a batch of one has none: advantage 0
            found = [(reward - mean) * len(rewards) / others for reward in rewards]
            self.value = mean
            return found
        found = [reward - self.value for reward in rewards]
        self.value += (1 - self.decay) * (mean - self.value)
        return found

    def state_dict(self) -> dict[str, Any]:
        """The mean."""
        return {"value": self.value}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.value = state["value"]


def reinforce_loss(log_probs: Tensor, advantages: Tensor) -> Tensor:
    """Its mean gradient is that of the expected reward, negated, for any constant baseline: ().

    Args:
        log_probs: (batch,) of whole architectures, with gradients.
        advantages: (batch,).
    """
    return -(advantages.detach() * log_probs).mean()


def clipped_loss(log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, clip: float = 0.2) -> Tensor:
    """PPO's loss: an architecture whose ratio left ``1 +- clip`` in its advantage's direction rests: ().

    Args:
        log_probs: (batch,) under the present controller, with gradients.
        old_log_probs: (batch,) under the controller that drew them.
        advantages: (batch,).
        clip: half the width of the interval, > 0.
    """
    ratios = torch.exp(log_probs - old_log_probs.detach())
    advantages = advantages.detach()
    clipped = ratios.clamp(1 - clip, 1 + clip)
    return -torch.minimum(ratios * advantages, clipped * advantages).mean()
