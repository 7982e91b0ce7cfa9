"""Hyper-parameters of a Gaussian process, and the fit that finds their most probable values.

The length scales' prior moves with the square root of their number, so that the prior belief in
how rough a function is does not change with dimension. Source: C. Hvarfner, E. O. Hellsten,
L. Nardi, "Vanilla Bayesian Optimization Performs Great in High Dimensions" (ICML 2024), section 4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from autodl.searchers.matern import Array, Groups, grouped_squares, matern52_with_slope

JITTER = 1e-9  # of the variance, added to the diagonal: keeps the factorisation going


@dataclass(frozen=True, slots=True)
class Priors:
    """Normal priors of the hyper-parameters' logarithms.

    Attributes:
        scale: median of a length scale, times the square root of their number.
        scale_spread: standard deviation of its logarithm.
        variance: median of the signal's variance.
        variance_spread: standard deviation of its logarithm.
        noise: median of the noise's variance, in units of the targets.
        noise_spread: standard deviation of its logarithm.
        least_noise: lower bound of the noise's variance.
    """

    scale: float = 0.5
    scale_spread: float = 1.0
    variance: float = 1.0
    variance_spread: float = 1.0
    noise: float = 1e-4
    noise_spread: float = 2.0
    least_noise: float = 1e-6


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """Of a GP: length scales (g,) of the groups of features, variances of signal and noise."""

    scales: Array
    variance: float
    noise: float

    def as_logs(self) -> Array:
        """The vector (g + 2,) that the fit moves."""
        logs: Array = np.log(np.concatenate([self.scales, [self.variance, self.noise]]))
        return logs

    @classmethod
    def from_logs(cls, logs: Array) -> Hyperparameters:
        """The inverse of `as_logs`."""
        return cls(np.exp(logs[:-2]), math.exp(logs[-2]), math.exp(logs[-1]))


def prior_logs(count: int, priors: Priors) -> tuple[Array, Array]:
    """Means and standard deviations of the priors of `as_logs`' entries: (count + 2,) both."""
    scale = math.log(priors.scale * math.sqrt(max(count, 1)))
    means = [*[scale] * count, math.log(priors.variance), math.log(priors.noise)]
    spreads = [*[priors.scale_spread] * count, priors.variance_spread, priors.noise_spread]
    return np.array(means), np.array(spreads)


class Evidence:
    """The negative log posterior of the hyper-parameters, with its gradient.

    The constant mean of the process is the most likely one given the rest, in closed form.

    Args:
        x: features (n, d).
        y: targets (n,).
        groups: (d,), the length scale that each feature uses.
        priors: of the hyper-parameters.
    """

    def __init__(self, x: Array, y: Array, groups: Groups, priors: Priors) -> None:
        self._y = y
        self._squares = grouped_squares(x, groups)
        self._pairs = np.triu_indices(len(x), 1)
        self._means, self._spreads = prior_logs(len(self._squares), priors)

    def __call__(self, logs: Array) -> tuple[float, Array]:
        """Value and gradient at log hyper-parameters (g + 2,); huge where not positive definite."""
        from scipy.linalg.lapack import dpotrf, dpotri  # noqa: PLC0415  # heavy, used when fitting only

        n, weights = len(self._y), np.exp(-2.0 * logs[:-2])
        variance, noise = math.exp(logs[-2]), math.exp(logs[-1])
        upper, slope = matern52_with_slope(weights @ self._squares)
        gram = np.zeros((n, n))
        gram[self._pairs] = variance * upper
        np.fill_diagonal(gram, variance * (1.0 + JITTER) + noise)
        factor, info = dpotrf(gram, lower=0, overwrite_a=1)
        inverse, failed = dpotri(factor, lower=0) if info == 0 else (gram, 1)
        if failed:
            return 1e25, np.zeros_like(logs)
        inverse = np.triu(inverse)
        inverse += np.triu(inverse, 1).T
        residual = self._y - _likely_mean(inverse, self._y)
        alpha = inverse @ residual
        value = 0.5 * float(residual @ alpha) + float(np.log(np.diag(factor)).sum())
        # d value / d K, of which each pair i < j counts twice.
        by_gram = 0.5 * (inverse - np.outer(alpha, alpha))
        by_pair = 2.0 * variance * by_gram[self._pairs]
        by_scale = self._squares @ (by_pair * slope) * (-2.0 * weights)
        trace = float(np.trace(by_gram))
        by_variance = float(by_pair @ upper) + trace * variance * (1.0 + JITTER)
        gradient = np.concatenate([by_scale, [by_variance, trace * noise]])
        offset = (logs - self._means) / self._spreads
        return value + 0.5 * float(offset @ offset), gradient + offset / self._spreads


def _likely_mean(inverse: Array, y: Array) -> float:
    """The constant mean of generalised least squares; inverse (n, n), y (n,)."""
    weights = inverse.sum(axis=0)
    return float(weights @ y / weights.sum())


def fit_hyperparameters(
    x: Array,
    y: Array,
    groups: Groups,
    priors: Priors,
    start: Hyperparameters | None = None,
    *,
    max_steps: int = 50,
) -> Hyperparameters:
    """The most probable hyper-parameters (MAP) by L-BFGS-B.

    Args:
        x: features (n, d), n >= 1, in [0, 1].
        y: targets (n,), standardised.
        groups: (d,), the length scale that each feature uses.
        priors: of the hyper-parameters.
        start: where to begin: the last fit's. None: at the priors' medians, and from shorter
            length scales too; the more probable end wins.
        max_steps: iterations of each search.
    """
    from scipy.optimize import minimize  # noqa: PLC0415  # heavy, used when fitting only

    evidence = Evidence(x, y, groups, priors)
    means, _ = prior_logs(int(groups.max(initial=-1)) + 1, priors)
    starts = [means] if start is None else [start.as_logs()]
    if start is None:
        shorter = means.copy()
        shorter[:-2] -= 1.5
        shorter[-1] = math.log(1e-2)
        starts.append(shorter)
    count = len(means) - 2
    bounds = [(math.log(5e-3), math.log(1e3))] * count + [
        (math.log(1e-2), math.log(1e3)),
        (math.log(priors.least_noise), 0.0),
    ]
    limits = np.array(bounds)
    options = {"maxiter": max_steps, "ftol": 1e-6, "maxls": 12}
    ends = [
        minimize(
            evidence,
            np.clip(logs, limits[:, 0], limits[:, 1]),
            jac=True,
            bounds=bounds,
            method="L-BFGS-B",
            options=options,
        )
        for logs in starts
    ]
    return Hyperparameters.from_logs(min(ends, key=lambda end: float(end.fun)).x)


def doubtful(found: Hyperparameters, priors: Priors) -> Hyperparameters:
    """Hyper-parameters that believe no feature to matter less than the prior's median says.

    The most probable ones may be too sure: a parameter that does nothing in the branch where most
    trials are looks as if it did nothing anywhere.
    """
    means, _ = prior_logs(len(found.scales), priors)
    scales = np.minimum(found.scales, np.exp(means[:-2]))
    return Hyperparameters(scales, max(found.variance, math.exp(means[-2])), found.noise)
