"""Fit of the learning-curve process: the evidence, its gradient, its most probable parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from autodl.searchers.gp_fit import JITTER, Hyperparameters, Priors, prior_logs
from autodl.searchers.matern import Array, Groups, grouped_squares, matern52_with_slope
from autodl.searchers.mobster_kernel import Decay, decay_gradient

_DECAY_MEANS = np.array([0.0, math.log(0.3), math.log(1.5), 1.0, -0.5])
_DECAY_SPREADS = np.array([0.7, 1.0, 0.7, 1.5, 1.0])
_DECAY_LIMITS = [(-3.0, 4.0), (-6.0, 3.0), (-4.0, 4.0), (-6.0, 6.0), (-5.0, 5.0)]
PRIORS = Priors(noise=1e-3, noise_spread=1.5, least_noise=1e-5)


@dataclass(frozen=True, slots=True)
class CurveParameters:
    """Of the process: the configs' kernel with the noise, and the decay over the resource."""

    configs: Hyperparameters
    decay: Decay

    def as_vector(self) -> Array:
        """What the fit moves: (g + 7,)."""
        return np.concatenate([self.configs.as_logs(), self.decay.as_vector()])

    @classmethod
    def from_vector(cls, vector: Array) -> CurveParameters:
        """The inverse of `as_vector`."""
        return cls(Hyperparameters.from_logs(vector[:-5]), Decay.from_vector(vector[-5:]))


def prior_vector(groups: int) -> tuple[Array, Array]:
    """Means and standard deviations of the priors of `CurveParameters.as_vector`: (groups + 7,) both."""
    means, spreads = prior_logs(groups, PRIORS)
    return np.concatenate([means, _DECAY_MEANS]), np.concatenate([spreads, _DECAY_SPREADS])


class CurveEvidence:
    """The negative log posterior of the parameters, with its gradient.

    Args:
        x: features (n, d).
        resource: (n,).
        y: targets (n,).
        groups: (d,), the length scale that each feature uses.
    """

    def __init__(self, x: Array, resource: Array, y: Array, groups: Groups) -> None:
        self._y = y
        self._squares = grouped_squares(x, groups)
        self._pairs = np.triu_indices(len(x), 1)
        self._levels, self._index = np.unique(resource, return_inverse=True)
        self._is_at = np.eye(len(self._levels))[self._index]  # (n, l)
        self._means, self._spreads = prior_vector(len(self._squares))

    def __call__(self, vector: Array) -> tuple[float, Array]:
        """Value and gradient at (g + 7,); huge where not positive definite."""
        from scipy.linalg.lapack import dpotrf, dpotri  # noqa: PLC0415  # heavy, used when fitting only

        decay, n = Decay.from_vector(vector[-5:]), len(self._y)
        weights = np.exp(-2.0 * vector[:-7])
        variance, noise = math.exp(vector[-7]), math.exp(vector[-6])
        kernel, slope = matern52_with_slope(weights @ self._squares)
        configs = self._square(variance * kernel, variance * (1.0 + JITTER))
        factor, added = (
            part[np.ix_(self._index, self._index)] for part in decay.factors(self._levels, self._levels)
        )
        gram = configs * factor + added
        gram[np.diag_indices(n)] += noise
        lower, info = dpotrf(gram, lower=0, overwrite_a=1)
        inverse, failed = dpotri(lower, lower=0) if info == 0 else (gram, 1)
        if failed:
            return 1e25, np.zeros_like(vector)
        inverse = np.triu(inverse)
        inverse += np.triu(inverse, 1).T
        residual = self._y - decay.means(self._levels)[self._index]
        alpha = inverse @ residual
        value = 0.5 * float(residual @ alpha) + float(np.log(np.diag(lower)).sum())
        by_gram = 0.5 * (inverse - np.outer(alpha, alpha))
        by_pair = 2.0 * variance * (by_gram * factor)[self._pairs]
        by_scale = self._squares @ (by_pair * slope) * (-2.0 * weights)
        by_factor = by_gram * configs
        by_variance = float((by_factor * factor).sum())
        by_decay = decay_gradient(
            decay,
            self._levels,
            self._is_at.T @ by_factor @ self._is_at,
            self._is_at.T @ by_gram @ self._is_at,
            -self._is_at.T @ alpha,
        )
        gradient = np.concatenate([by_scale, [by_variance, float(np.trace(by_gram)) * noise], by_decay])
        offset = (vector - self._means) / self._spreads
        return value + 0.5 * float(offset @ offset), gradient + offset / self._spreads

    def _square(self, pairs: Array, diagonal: float) -> Array:
        full = np.zeros((len(self._y),) * 2)
        full[self._pairs] = pairs
        full += full.T
        np.fill_diagonal(full, diagonal)
        return full


def fit_curves(  # the data of a fit
    x: Array,
    resource: Array,
    y: Array,
    groups: Groups,
    start: CurveParameters | None = None,
    *,
    max_steps: int = 40,
) -> CurveParameters:
    """The most probable parameters (MAP) by L-BFGS-B.

    Args:
        x: features (n, d), n >= 1, in [0, 1].
        resource: (n,), >= 0.
        y: targets (n,), standardised; smaller is better.
        groups: (d,), the length scale that each feature uses.
        start: where to begin: the last fit's; None: at the priors' medians.
        max_steps: iterations.
    """
    from scipy.optimize import minimize  # noqa: PLC0415  # heavy, used when fitting only

    count = int(groups.max(initial=-1)) + 1
    limits = [(math.log(5e-3), math.log(1e3))] * count
    limits += [(math.log(1e-2), math.log(1e2)), (math.log(PRIORS.least_noise), 0.0), *_DECAY_LIMITS]
    low, high = np.array(limits).T
    vector = prior_vector(count)[0] if start is None else start.as_vector()
    end = minimize(
        CurveEvidence(x, resource, y, groups),
        np.clip(vector, low, high),
        jac=True,
        bounds=limits,
        method="L-BFGS-B",
        options={"maxiter": max_steps, "ftol": 1e-5, "maxls": 12},
    )
    return CurveParameters.from_vector(end.x)
