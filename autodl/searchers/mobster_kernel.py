"""Covariance of learning curves: configs share an asymptote's process, and decay towards it.

Source: A. Klein, L. C. Tiao, T. Lienart, C. Archambeau, M. Seeger, "Model-based Asynchronous
Hyperparameter and Neural Architecture Search" (2020), section 4 (exponential-decay kernel); the
mixture of exponentials behind it: K. Swersky, J. Snoek, R. P. Adams, "Freeze-Thaw Bayesian
Optimization" (2014). A curve starts at gamma and ends at its asymptote; delta says how much of the
asymptote's differences is there only late: 1, and all configs start alike; 0, and the curves
are parallel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from autodl.searchers.matern import Array


@dataclass(frozen=True, slots=True)
class Decay:
    """Parameters of the kernel's resource part.

    Attributes:
        power: a > 0; exponents of the mixture are gamma distributed with this shape.
        rate: lambda > 0, their mean, per unit of resource.
        start: gamma > 0, what is added to the mean at resource 0.
        delta: in [0, 1].
        mean: mu, the mean of the asymptotes.
    """

    power: float
    rate: float
    start: float
    delta: float
    mean: float

    def kappa(self, resource: Array) -> Array:
        """Mean decay ``(b / (r + b))^a`` with ``b = a / lambda``: 1 at 0, 0 far out; any shape."""
        b = self.power / self.rate
        decayed: Array = (b / (resource + b)) ** self.power
        return decayed

    def kappa_slopes(self, resource: Array) -> tuple[Array, Array]:
        """Derivatives of `kappa` by the logarithms of `power` and of `rate`; any shape."""
        b = self.power / self.rate
        value, left = self.kappa(resource), resource / (resource + b)
        return value * self.power * (np.log(b / (resource + b)) + left), -value * self.power * left

    @property
    def rise(self) -> float:
        """``gamma - delta mu``: how far a curve's mean goes."""
        return self.start - self.delta * self.mean

    def means(self, resource: Array) -> Array:
        """Mean at resources: any shape."""
        means: Array = self.mean + self.kappa(resource) * self.rise
        return means

    def factors(self, left: Array, right: Array) -> tuple[Array, Array]:
        """What the configs' covariance is multiplied by, and what is added to the product.

        Args:
            left: resources (n,).
            right: resources (m,).

        Returns:
            both (n, m).
        """
        a, b = self.kappa(left)[:, None], self.kappa(right)[None, :]
        both = self.kappa(left[:, None] + right[None, :])
        return 1.0 - self.delta * (a + b - self.delta * both), self.rise**2 * (both - a * b)

    def as_vector(self) -> Array:
        """What a fit moves: (5,)."""
        odds = math.log(self.delta / (1.0 - self.delta))
        return np.array([math.log(self.power), math.log(self.rate), math.log(self.start), odds, self.mean])

    @classmethod
    def from_vector(cls, vector: Array) -> Decay:
        """The inverse of `as_vector`."""
        power, rate, start = (math.exp(v) for v in vector[:3])
        return cls(power, rate, start, 1.0 / (1.0 + math.exp(-vector[3])), float(vector[4]))


def decay_gradient(decay: Decay, levels: Array, by_factor: Array, by_added: Array, by_mean: Array) -> Array:
    """Gradient of a function of `factors` and `means` by `Decay.as_vector`: (5,).

    Args:
        decay: where.
        levels: the resources (l,) of both sides.
        by_factor: the function's derivative by the first of `factors` (l, l).
        by_added: by the second (l, l).
        by_mean: by `means` (l,).
    """
    kappa, sums = decay.kappa(levels), levels[:, None] + levels[None, :]
    both, delta, rise, mu = decay.kappa(sums), decay.delta, decay.rise, decay.mean
    mixed = both - kappa[:, None] * kappa[None, :]
    gradient = np.zeros(5)
    slopes = zip(decay.kappa_slopes(levels), decay.kappa_slopes(sums), strict=True)
    for i, (one, two) in enumerate(slopes):
        factor = -delta * (one[:, None] + one[None, :] - delta * two)
        added = rise**2 * (two - one[:, None] * kappa[None, :] - kappa[:, None] * one[None, :])
        gradient[i] = (by_factor * factor).sum() + (by_added * added).sum() + rise * float(by_mean @ one)
    by_rise = 2.0 * rise * float((by_added * mixed).sum()) + float(by_mean @ kappa)
    gradient[2] = by_rise * decay.start
    by_delta = -float((by_factor * (kappa[:, None] + kappa[None, :] - 2.0 * delta * both)).sum())
    gradient[3] = (by_delta - by_rise * mu) * delta * (1.0 - delta)
    gradient[4] = float(by_mean.sum()) - by_rise * delta
    return gradient
