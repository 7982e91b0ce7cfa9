"""Expected improvement on a log scale, which has a slope even where hardly anything is expected.

Source: S. Ament, S. Daulton, D. Eriksson, M. Balandat, E. Bakshy, "Unexpected Improvements to
Expected Improvement for Bayesian Optimization" (NeurIPS 2023), section 4.1. Pending trials enter
as fantasies: the improvement is averaged over draws of how they come out (J. Snoek, H. Larochelle,
R. P. Adams, NIPS 2012, section 3.2).
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from autodl.searchers.matern import Array

_LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)
_SQRT_HALF_PI = math.sqrt(0.5 * math.pi)
_FAR = -100.0  # below, the series is exact to double precision's half


class Predictor(Protocol):
    """What is asked of a model; `GaussianProcess` is one."""

    def predict(self, points: Array) -> tuple[Array, Array]:
        """Means (k, m) and deviations (k,) at points (k, d)."""
        ...

    def predict_with_gradient(self, point: Array) -> tuple[Array, float, Array, Array]:
        """At one point (d,): means (m,), deviation, and their gradients (m, d) and (d,)."""
        ...

    def fitted(self) -> Array:
        """Means (n, m) at the points it has learned from."""
        ...


def log_h(z: Array) -> tuple[Array, Array]:
    """``log(phi(z) + z Phi(z))`` and its derivative, without underflow; any shape."""
    from scipy.special import erfcx, ndtr  # noqa: PLC0415  # heavy, used by GPs only

    near, middle = np.maximum(z, -1.0), np.clip(z, _FAR, -1.0)
    density = np.exp(-0.5 * near * near - _LOG_SQRT_2PI)
    chance = ndtr(near)
    plain = density + near * chance
    mills = _SQRT_HALF_PI * erfcx(-middle / math.sqrt(2.0))  # Phi / phi
    rest = 1.0 + middle * mills
    far = np.minimum(z, _FAR)
    tail = -0.5 * np.where(z < _FAR, far, middle) ** 2 - _LOG_SQRT_2PI
    tail = tail + np.where(z < _FAR, -2.0 * np.log(-far), np.log(rest))
    slope = np.where(z < _FAR, -far - 2.0 / far, mills / rest)
    value: Array = np.where(z > -1.0, np.log(plain), tail)
    derivative: Array = np.where(z > -1.0, chance / plain, slope)
    return value, derivative


class LogExpectedImprovement:
    """Log EI under a GP, averaged over its columns of targets (fantasies).

    Args:
        model: a GP.

    Attributes:
        best: (m,), the lowest mean at the model's own points, of each column.
    """

    def __init__(self, model: Predictor) -> None:
        self._model = model
        self.best = model.fitted().min(axis=0)

    def __call__(self, points: Array) -> Array:
        """Of each point: (k, d) -> (k,)."""
        means, deviations = self._model.predict(points)
        values, _ = log_h((self.best - means) / deviations[:, None])
        return np.log(deviations) + _log_mean_exp(values)

    def with_gradient(self, point: Array) -> tuple[float, Array]:
        """At one point (d,): the value, and its gradient (d,)."""
        means, deviation, by_means, by_deviation = self._model.predict_with_gradient(point)
        z = (self.best - means) / deviation
        values, slopes = log_h(z)
        value = float(_log_mean_exp(values[None])[0])
        shares = np.exp(values - value) / len(values)
        weights = shares * slopes / deviation
        gradient = by_deviation * (1.0 / deviation - float(weights @ z)) - weights @ by_means
        return math.log(deviation) + value, gradient


def _log_mean_exp(values: Array) -> Array:
    """Over the columns: (k, m) -> (k,)."""
    if values.shape[1] == 1:
        return values[:, 0]
    top = values.max(axis=1)
    mean: Array = top + np.log(np.exp(values - top[:, None]).mean(axis=1))
    return mean
