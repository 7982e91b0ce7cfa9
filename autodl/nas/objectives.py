"""What a search makes best when an architecture costs something: accuracy and cost in one number.

Each objective has two faces. `reward` judges one architecture that was measured (larger is better);
`loss` is what gradient methods minimise, with the expected cost of the architectures that their
probabilities describe.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from autodl.errors import OptionError

LEAST_METRIC = 1e-6
"""Stands for a metric of zero where its logarithm is taken."""


class Objective(Protocol):
    """Accuracy and cost in one number."""

    def reward(self, metric: float, cost: float) -> float:
        """How good an architecture is; larger is better.

        Args:
            metric: its accuracy or the like, in [0, 1], larger is better.
            cost: in the cost model's unit.
        """

    def loss(self, task_loss: Tensor, expected_cost: Tensor) -> Tensor:
        """What gradient descent minimises.

        Args:
            task_loss: (), the mean cross-entropy.
            expected_cost: (), in the cost model's unit, > 0.
        """


@dataclass(frozen=True, slots=True)
class Power:
    """``metric * (cost / target) ** w``, where w depends on the side of the target.

    The soft form (both exponents -0.07) follows "twice the latency for 5 % more accuracy is an even
    trade"; the hard form (0 under the target, -1 over it) only cares for costs above the target.

    Args:
        target: the cost that is aimed at, > 0.
        under: exponent for costs up to the target, <= 0.
        over: exponent for costs above it, <= 0.

    Source: Tan et al., "MnasNet: Platform-Aware Neural Architecture Search for Mobile", 2019,
    equations 2 and 3. The loss is the negative logarithm of the reward, with the cross-entropy in the
    place of the accuracy's.
    """

    target: float
    under: float = -0.07
    over: float = -0.07

    def __post_init__(self) -> None:
        _check_positive("target", self.target)
        if self.under > 0 or self.over > 0:
            raise OptionError(
                f"exponents above 0 would reward cost: under={self.under!r}, over={self.over!r}; use <= 0"
            )

    def reward(self, metric: float, cost: float) -> float:
        """See `Objective.reward`."""
        exponent = self.under if cost <= self.target else self.over
        return float(metric * (cost / self.target) ** exponent)

    def loss(self, task_loss: Tensor, expected_cost: Tensor) -> Tensor:
        """See `Objective.loss`."""
        exponent = torch.where(expected_cost <= self.target, self.under, self.over)
        return task_loss - exponent * torch.log(expected_cost / self.target)


@dataclass(frozen=True, slots=True)
class LogProduct:
    """``task_loss * alpha * (log cost / log reference) ** beta``.

    Args:
        alpha: scale of the loss, > 0.
        beta: weight of the cost, >= 0; 0 leaves the cost out.
        reference: a cost, > 1, that counts as 1; None: the logarithm is not divided (FBNet).

    The logarithm must be positive, so costs must exceed 1: choose the unit accordingly
    (milliseconds or microseconds, not seconds).

    Source: Wu et al., "FBNet", 2019, equation 2 (alpha .2, beta .6, no reference); Cai et al.,
    "ProxylessNAS", 2019, released code (alpha .2, beta .3, with a reference).
    """

    alpha: float = 0.2
    beta: float = 0.6
    reference: float | None = None

    def __post_init__(self) -> None:
        _check_positive("alpha", self.alpha)
        if self.beta < 0:
            raise OptionError(f"beta below 0 would reward cost; it must be >= 0, got {self.beta!r}")
        if self.reference is not None and not self.reference > 1:
            raise OptionError(f"reference must be above 1 in the cost's unit, got {self.reference!r}")

    def reward(self, metric: float, cost: float) -> float:
        """See `Objective.reward`; the metric's logarithm stands for the negative loss."""
        if cost <= 1:
            raise OptionError(f"LogProduct needs costs above 1, got {cost:g}; use a smaller unit")
        log_ratio = math.log(cost) / self._log()
        return float(math.log(max(metric, LEAST_METRIC)) * self.alpha * log_ratio**self.beta)

    def loss(self, task_loss: Tensor, expected_cost: Tensor) -> Tensor:
        """See `Objective.loss`."""
        if float(expected_cost.detach()) <= 1:
            raise OptionError(
                f"LogProduct needs costs above 1, got {float(expected_cost.detach()):g}; use a smaller unit"
            )
        product: Tensor = task_loss * self.alpha * (torch.log(expected_cost) / self._log()) ** self.beta
        return product

    def _log(self) -> float:
        return 1.0 if self.reference is None else math.log(self.reference)


@dataclass(frozen=True, slots=True)
class Linear:
    """``metric - weight * (cost - reference) / reference``, and the loss plus the same.

    Args:
        weight: how much one reference of cost counts, >= 0.
        reference: a cost that counts as 0, > 0.

    Source: Cai et al., "ProxylessNAS", 2019, equation 6.
    """

    weight: float
    reference: float

    def __post_init__(self) -> None:
        _check_positive("reference", self.reference)
        if self.weight < 0:
            raise OptionError(f"weight below 0 would reward cost; it must be >= 0, got {self.weight!r}")

    def reward(self, metric: float, cost: float) -> float:
        """See `Objective.reward`."""
        return metric - self.weight * (cost - self.reference) / self.reference

    def loss(self, task_loss: Tensor, expected_cost: Tensor) -> Tensor:
        """See `Objective.loss`."""
        return task_loss + self.weight * (expected_cost - self.reference) / self.reference


@dataclass(frozen=True, slots=True)
class Constraint:
    """As good as possible among the architectures that cost no more than `limit`.

    An architecture over the limit is worse than every one within it, and the worse the further over.

    Args:
        limit: most cost, > 0.
        weight: of the relative excess in the loss of gradient methods, which may cross the limit on
            the way; > 0.
    """

    limit: float
    weight: float = 10.0

    def __post_init__(self) -> None:
        _check_positive("limit", self.limit)
        _check_positive("weight", self.weight)

    def reward(self, metric: float, cost: float) -> float:
        """See `Objective.reward`."""
        return metric if cost <= self.limit else -cost / self.limit

    def loss(self, task_loss: Tensor, expected_cost: Tensor) -> Tensor:
        """See `Objective.loss`."""
        return task_loss + self.weight * torch.relu(expected_cost / self.limit - 1)


@dataclass(frozen=True, slots=True)
class MetricOnly:
    """The metric alone; the cost is recorded and does not count."""

    def reward(self, metric: float, cost: float) -> float:
        """See `Objective.reward`."""
        return metric

    def loss(self, task_loss: Tensor, expected_cost: Tensor) -> Tensor:
        """See `Objective.loss`."""
        return task_loss


def _check_positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise OptionError(f"{name} must be a number above 0, got {value!r}")
