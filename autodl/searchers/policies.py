"""Distributions over decisions that learn: logits for each on its own, or an LSTM along all of them.

Source: B. Zoph, Q. V. Le, "Neural Architecture Search with Reinforcement Learning" (ICLR 2017),
section 3; B. Zoph, V. Vasudevan, J. Shlens, Q. V. Le, "Learning Transferable Architectures for
Scalable Image Recognition" (CVPR 2018), appendix A.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Options = NDArray[np.int64]
"""Options taken, (m, decisions), -1 where a decision was inactive."""


class Choices(Protocol):
    """One config in the making."""

    def choose(self, decision: int, point: float) -> int:
        """Take an option; active decisions only, in their order.

        Args:
            decision: its number.
            point: uniform in [0, 1); decides which option.
        """
        ...


class Policy(Protocol):
    """A distribution over options of decisions."""

    def begin(self) -> Choices:
        """Start a config."""
        ...

    def log_probs(self, options: Options) -> Floats:
        """Log-probability of each row, summed over its active decisions: (m,)."""
        ...

    def ascend(self, options: Options, weights: Floats, entropy_weight: float) -> None:
        """A step up the mean of ``weights * log_probs + entropy_weight * entropy`` over rows.

        Args:
            options: (m, decisions).
            weights: (m,), constants.
            entropy_weight: of the entropies of active decisions, summed; >= 0.
        """
        ...


class TablePolicy:
    """A row of logits for each decision, all independent, moved by Adam.

    Args:
        counts: options of each decision.
        learning_rate: of Adam, in logits.

    Attributes:
        logits: (decisions, most options), minus infinity where there is no option.
    """

    def __init__(self, counts: Sequence[int], learning_rate: float) -> None:
        self.logits = np.zeros((len(counts), max(counts, default=0)))
        self._exists = np.arange(self.logits.shape[1]) < np.array(counts, dtype=int).reshape(-1, 1)
        self.logits[~self._exists] = -np.inf
        self._adam = _Adam(self.logits.shape, learning_rate)

    @property
    def probabilities(self) -> Floats:
        """Of each option: (decisions, most options)."""
        if self.logits.size == 0:
            return self.logits
        powers: Floats = np.exp(self.logits - self.logits.max(axis=1, keepdims=True))
        shares: Floats = powers / powers.sum(axis=1, keepdims=True)
        return shares

    def begin(self) -> _TableChoices:
        """See `Policy.begin`."""
        return _TableChoices(self.probabilities)

    def log_probs(self, options: Options) -> Floats:
        """See `Policy.log_probs`."""
        logs = _log(self.probabilities)
        taken = logs[np.arange(options.shape[1]), np.maximum(options, 0)]
        summed: Floats = np.where(options >= 0, taken, 0.0).sum(axis=1)
        return summed

    def gradient(self, options: Options, weights: Floats, entropy_weight: float = 0.0) -> Floats:
        """Gradient by the logits of what `Policy.ascend` climbs: (decisions, most options)."""
        shares, is_active = self.probabilities, options >= 0
        weighed = weights[:, None] * is_active
        total = -weighed.sum(axis=0)[:, None] * shares
        rows, columns = np.nonzero(is_active)
        np.add.at(total, (columns, options[rows, columns]), weights[rows])
        logs = _log(shares)
        entropy = -(shares * logs).sum(axis=1, keepdims=True)
        by_entropy = -shares * (logs + entropy)
        mean: Floats = (total + entropy_weight * is_active.sum(axis=0)[:, None] * by_entropy) / len(options)
        return mean

    def ascend(self, options: Options, weights: Floats, entropy_weight: float) -> None:
        """See `Policy.ascend`."""
        step = self._adam.step(self.gradient(options, weights, entropy_weight))
        self.logits[self._exists] += step[self._exists]


class _TableChoices:
    def __init__(self, probabilities: Floats) -> None:
        self._probabilities = probabilities

    def choose(self, decision: int, point: float) -> int:
        return pick(self._probabilities[decision], point)


class _Adam:
    """Adam (D. P. Kingma, J. Ba, ICLR 2015), algorithm 1, uphill."""

    def __init__(self, shape: tuple[int, ...], learning_rate: float) -> None:
        self._rate = learning_rate
        self._mean, self._square = np.zeros(shape), np.zeros(shape)
        self._steps = 0

    def step(self, gradient: Floats, beta1: float = 0.9, beta2: float = 0.999) -> Floats:
        self._steps += 1
        self._mean += (1.0 - beta1) * (gradient - self._mean)
        self._square += (1.0 - beta2) * (gradient**2 - self._square)
        mean = self._mean / (1.0 - beta1**self._steps)
        square = self._square / (1.0 - beta2**self._steps)
        taken: Floats = self._rate * mean / (np.sqrt(square) + 1e-8)
        return taken


def _log(shares: Floats) -> Floats:
    """The logarithm, 0 where there is no share to speak of."""
    logs: Floats = np.log(np.where(shares > 0.0, shares, 1.0))
    return logs


def pick(probabilities: Floats, point: float) -> int:
    """The option at a point of the cumulated probabilities, one that exists even after rounding."""
    sums = np.cumsum(probabilities)
    last = int(np.flatnonzero(probabilities > 0.0)[-1])
    return min(int(np.searchsorted(sums, point * sums[-1], side="right")), last)
