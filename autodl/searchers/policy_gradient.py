"""How a policy learns from rewards: REINFORCE, and proximal policy optimisation.

Sources: R. J. Williams, "Simple Statistical Gradient-Following Algorithms for Connectionist
Reinforcement Learning" (Machine Learning 1992); J. Schulman, F. Wolski, P. Dhariwal, A. Radford,
O. Klimov, "Proximal Policy Optimization Algorithms" (2017), equation 7.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from autodl.searchers.policies import Floats, Options, Policy

ALGORITHMS = ("reinforce", "ppo")
_MOST = 5.0  # advantages beyond, in units of their usual size, count as this: outliers must not rule


class Baseline:
    """A moving average of rewards, and of how far they usually lie from it.

    Args:
        decay: share of the old average that is kept for each batch, in [0, 1).
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.mean: float | None = None
        self.spread = 0.0

    def advantages(self, rewards: Sequence[float]) -> Floats:
        """How much better than usual each reward is, in units of the usual deviation: (m,).

        What is usual is known from earlier batches alone: a baseline that knows the reward it is
        subtracted from would bias the gradient. In the first batch each is compared with the
        mean of the others.
        """
        usual = self._usual(rewards)
        # Python's floats: extreme rewards may overflow quietly.
        differences = [reward - base for reward, base in zip(rewards, usual, strict=True)]
        spread = self.spread or sum(map(abs, differences)) / max(len(differences), 1)
        if not 0.0 < spread < math.inf:
            spread = 1.0
        return np.array([min(max(d / spread, -_MOST), _MOST) for d in differences], dtype=np.float64)

    def update(self, rewards: Sequence[float]) -> None:
        """Take in a batch, after it was used."""
        usual = self._usual(rewards)
        mean = math.fsum(reward / len(rewards) for reward in rewards)
        spread = sum(abs(r - b) / len(rewards) for r, b in zip(rewards, usual, strict=True))
        if self.mean is None:
            self.mean, self.spread = mean, spread
        else:
            self.mean = self.decay * self.mean + (1.0 - self.decay) * mean
            self.spread = self.decay * self.spread + (1.0 - self.decay) * spread

    def _usual(self, rewards: Sequence[float]) -> list[float]:
        if self.mean is not None:
            return [self.mean] * len(rewards)
        if len(rewards) == 1:
            return list(rewards)
        total = math.fsum(reward / (len(rewards) - 1) for reward in rewards)
        return [total - reward / (len(rewards) - 1) for reward in rewards]


def ppo_weights(log_probs: Floats, old: Floats, advantages: Floats, clip: float) -> Floats:
    """What multiplies the gradient of each log-probability in the clipped objective: (m,).

    The gradient of min(r A, clamp(r, 1 - clip, 1 + clip) A) is r A times that of the
    log-probability, and zero once the ratio r has left the interval in the direction in which
    the advantage A pushes it.
    """
    ratios = np.exp(np.clip(log_probs - old, -20.0, 20.0))
    is_outside = np.where(advantages >= 0.0, ratios > 1.0 + clip, ratios < 1.0 - clip)
    weights: Floats = np.where(is_outside, 0.0, ratios * advantages)
    return weights


class PolicyGradient:
    """Improves a policy, batch by batch.

    Args:
        policy: what learns.
        algorithm: one of `ALGORITHMS`.
        decay: of the baseline.
        entropy_weight: reward for staying undecided, in units of the usual advantage a nat.
        clip: how far a ratio of probabilities may leave 1 (PPO).
        epochs: steps on one batch (PPO).
    """

    def __init__(
        self,
        policy: Policy,
        algorithm: str = "reinforce",
        *,
        decay: float = 0.9,
        entropy_weight: float = 0.01,
        clip: float = 0.2,
        epochs: int = 4,
    ) -> None:
        self.policy = policy
        self.algorithm = algorithm
        self.baseline = Baseline(decay)
        self.entropy_weight = entropy_weight
        self.clip = clip
        self.epochs = epochs

    def learn(self, options: Options, old: Floats, rewards: Sequence[float]) -> None:
        """One batch.

        Args:
            options: (m, decisions), -1 where inactive.
            old: log-probabilities of the rows when they were drawn: (m,).
            rewards: (m,), finite.
        """
        advantages = self.baseline.advantages(rewards)
        if self.algorithm == "reinforce":
            self.policy.ascend(options, advantages, self.entropy_weight)
        else:
            for _ in range(self.epochs):
                weights = ppo_weights(self.policy.log_probs(options), old, advantages, self.clip)
                self.policy.ascend(options, weights, self.entropy_weight)
        self.baseline.update(rewards)
