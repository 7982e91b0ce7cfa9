"""Scores as targets of a Gaussian process: failures filled in, outliers drawn in, skewness taken out.

Source of the power transform: I.-K. Yeo, R. A. Johnson, "A New Family of Power Transformations
to Improve Normality or Symmetry" (Biometrika 2000); of its use before a GP: A. I. Cowen-Rivers et
al., "HEBO: Pushing the Limits of Sample-Efficient Hyperparameter Optimisation" (JAIR 2022).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from autodl.searchers.matern import Array

_LEAST = 5  # fewer targets say nothing about skewness
_POWERS = np.linspace(-2.0, 2.0, 81)


def gp_targets(scores: Sequence[float | None]) -> Array:
    """Losses of mean 0 and deviation 1, with skewness drawn in; failures have the highest.

    Args:
        scores: larger is better; None: the trial failed. At least one is a number.

    Returns:
        targets: (n,), smaller is better; rises with the loss.
    """
    losses = np.array([np.nan if score is None else -score for score in scores], dtype=np.float64)
    is_known = ~np.isnan(losses)
    known = standardise(winsorise(losses[is_known]))
    if len(known) >= _LEAST:
        # Half as far as the likelihood wants: most trials are good ones, and a full transform
        # blows up the differences between those at the cost of the shape of all others.
        known = standardise(yeo_johnson(known, 0.5 + 0.5 * best_power(known)))
    losses[is_known] = known
    losses[~is_known] = known.max()
    return standardise(losses)


def standardise(values: Array) -> Array:
    """Mean 0 and deviation 1; all 0 where they do not differ."""
    unit = float(np.abs(values).max()) or 1.0  # scaled first, so that no square overflows
    scaled = values / unit
    spread = float(scaled.std())
    centred: Array = scaled - scaled.mean()
    return centred / spread if spread > 1e-13 else np.zeros_like(scaled)


def winsorise(losses: Array, reach: float = 5.0) -> Array:
    """Losses far above the median drawn in: a diverged trial (1e9) must not hide all others.

    Args:
        losses: (n,).
        reach: how far above the median stays, in distances from the best to the median.
    """
    unit = float(np.abs(losses).max()) or 1.0
    scaled = losses / unit
    median, best = float(np.median(scaled)), float(scaled.min())
    ceiling = median + reach * (median - best) if median > best else float(scaled.max())
    drawn: Array = np.minimum(scaled, ceiling)
    return drawn


def yeo_johnson(values: Array, power: float) -> Array:
    """The power transform; 1 leaves the values, less draws in the upper tail."""
    up, down = np.maximum(values, 0.0), np.maximum(-values, 0.0)
    upper = np.log1p(up) if power == 0.0 else np.expm1(power * np.log1p(up)) / power
    other = 2.0 - power
    lower = np.log1p(down) if other == 0.0 else np.expm1(other * np.log1p(down)) / other
    moved: Array = upper - lower
    return moved


def best_power(values: Array) -> float:
    """The power under which the values are most likely a normal sample (maximum likelihood)."""
    signed_logs = float((np.sign(values) * np.log1p(np.abs(values))).sum())

    def likelihood(power: float) -> float:
        variance = float(yeo_johnson(values, power).var())
        if variance <= 0.0:
            return -math.inf
        return -0.5 * len(values) * math.log(variance) + (power - 1.0) * signed_logs

    return float(max(_POWERS.tolist(), key=likelihood))
