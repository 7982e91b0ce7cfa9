"""Acquisition functions: how much a point is worth trying, from what a surrogate predicts there.

All minimise: `mean` is the predicted loss. Source: B. Shahriari, K. Swersky, Z. Wang,
R. P. Adams, N. de Freitas, "Taking the Human Out of the Loop" (Proc. IEEE 2016), section IV;
the portfolio of the three: M. Hoffman, E. Brochu, N. de Freitas, "Portfolio Allocation for
Bayesian Optimization" (UAI 2011), algorithm 2 (GP-Hedge).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

XI = 0.001  # improvement wanted over the best, in standard deviations of the losses
KAPPA = 1.96  # standard deviations below the mean


class Acquisition(Protocol):
    """``(mean, std, best) -> value``, larger is better; arrays (n,), `best` the lowest loss so far."""

    def __call__(self, mean: Array, std: Array, best: float) -> Array:
        """The value of each point."""
        ...


def expected_improvement(mean: Array, std: Array, best: float) -> Array:
    """EI: the expectation of ``max(best - XI - loss, 0)``."""
    from scipy.stats import norm  # noqa: PLC0415  # heavy, and used by this searcher only

    gain = best - XI - mean
    scaled = gain / np.maximum(std, 1e-12)
    values: Array = gain * norm.cdf(scaled) + std * norm.pdf(scaled)
    return values


def lower_confidence_bound(mean: Array, std: Array, best: float) -> Array:
    """LCB: ``-(mean - KAPPA * std)``."""
    return KAPPA * std - mean


def probability_of_improvement(mean: Array, std: Array, best: float) -> Array:
    """PI: the chance that the loss is below ``best - XI``, as its argument of the normal CDF.

    The CDF rises with its argument, so that the order is the same and tiny chances still differ.
    """
    return (best - XI - mean) / np.maximum(std, 1e-12)


ACQUISITIONS: dict[str, Acquisition] = {
    "EI": expected_improvement,
    "LCB": lower_confidence_bound,
    "PI": probability_of_improvement,
}


def hedge_probabilities(gains: Array) -> Array:
    """GP-Hedge's chances of each acquisition: softmax of the gains, (k,) -> (k,)."""
    weights = np.exp(gains - gains.max())
    chances: Array = weights / weights.sum()
    return chances
