"""The distribution that CMA-ES samples and moves: a normal over the unit cube.

Source: N. Hansen, "The CMA Evolution Strategy: A Tutorial" (arXiv:1604.00772, 2016), with the
negative weights of its table 1; external solutions: N. Hansen, "Injecting External Solutions
Into CMA-ES" (arXiv:1110.4181, 2011); diagonal form: R. Ros, N. Hansen, "A Simple Modification in
CMA-ES Achieving Linear Time and Space Complexity" (PPSN 2008).
"""

from __future__ import annotations

import math

import numpy as np

from autodl.searchers.features import Rows

_FULL = 200  # columns; with more the covariance is diagonal: a full one has too much to learn
_LARGEST = 1.0  # step size: the cube has no room for more
_CONDITION = 1e14  # of the covariance; beyond, rounding errors steer


class CMA:
    """State of one (mu/mu_w, lambda)-CMA-ES; minimises over the unit cube.

    Args:
        mean: (dim,), where the search starts.
        sigma: step size: the first standard deviation of every column.
        population: solutions of a generation (lambda), at least 4.

    Attributes:
        mean: (dim,), centre of the distribution.
        sigma: step size.
        population: lambda.
        generation: updates so far.
    """

    def __init__(self, mean: Rows, sigma: float, population: int) -> None:
        self.mean, self.sigma, self.population, self.generation = mean.copy(), sigma, population, 0
        dim = len(mean)
        self._is_full = dim <= _FULL
        self._set_rates(dim)
        self._path_sigma, self._path_c = np.zeros(dim), np.zeros(dim)
        self._covariance = np.eye(dim) if self._is_full else np.ones(dim)
        self._axes = np.eye(dim) if self._is_full else np.empty(0)  # eigenvectors, in columns
        self._scales = np.ones(dim)  # roots of the eigenvalues

    def _set_rates(self, dim: int) -> None:
        """Weights and learning rates; names and formulas of the tutorial's table 1."""
        raw = math.log((self.population + 1) / 2) - np.log(np.arange(1, self.population + 1))
        positive, negative = np.maximum(raw, 0), np.minimum(raw, 0)
        self._mu_eff = mu_eff = float(positive.sum() ** 2 / (positive**2).sum())
        mu_eff_minus = float(negative.sum() ** 2 / (negative**2).sum())
        self._c_sigma = (mu_eff + 2) / (dim + mu_eff + 5)
        self._damping = 1 + 2 * max(0.0, math.sqrt((mu_eff - 1) / (dim + 1)) - 1) + self._c_sigma
        self._c_path = (4 + mu_eff / dim) / (dim + 4 + 2 * mu_eff / dim)
        self._c_1 = 2 / ((dim + 1.3) ** 2 + mu_eff)
        self._c_mu = min(1 - self._c_1, 2 * (1 / 4 + mu_eff + 1 / mu_eff - 2) / ((dim + 2) ** 2 + mu_eff))
        if not self._is_full:
            faster = (dim + 2) / 3
            self._c_1 = min(1.0, self._c_1 * faster)
            self._c_mu = min(1 - self._c_1, self._c_mu * faster)
        shrink = min(
            1 + self._c_1 / self._c_mu,
            1 + 2 * mu_eff_minus / (mu_eff + 2),
            (1 - self._c_1 - self._c_mu) / (dim * self._c_mu),
        )
        self._means = positive / positive.sum()
        self._weights = self._means + negative / max(-float(negative.sum()), 1e-300) * max(shrink, 0.0)
        self._expected_norm = math.sqrt(dim) * (1 - 1 / (4 * dim) + 1 / (21 * dim**2))
        self._longest = math.sqrt(dim) + 2 * dim / (dim + 2)  # of a step from elsewhere

    def sample(self, rng: np.random.Generator, count: int = 1) -> Rows:
        """Points of the distribution: (count, dim)."""
        steps = rng.normal(size=(count, len(self.mean))) * self._scales
        return self.mean + self.sigma * (steps @ self._axes.T if self._is_full else steps)

    def update(self, points: Rows, losses: Rows) -> None:
        """Close a generation.

        Points need not come from the present distribution: a step longer than its samples make
        is cut to what they may have, so that no outlier blows up the step size.

        Args:
            points: (lambda, dim).
            losses: (lambda,), of equal ones the earlier point counts as better.
        """
        dim = len(self.mean)
        order = np.argsort(losses, kind="stable")
        steps = (points[order] - self.mean) / self.sigma
        lengths = np.linalg.norm(self._whitened(steps), axis=1)
        steps *= np.minimum(1.0, self._longest / np.maximum(lengths, 1e-12))[:, None]
        lengths = np.minimum(lengths, self._longest)
        shift = self._means @ steps
        self.mean = self.mean + self.sigma * shift
        self.generation += 1

        c = self._c_sigma
        self._path_sigma *= 1 - c
        self._path_sigma += math.sqrt(c * (2 - c) * self._mu_eff) * self._whitened(shift[None])[0]
        norm = float(np.linalg.norm(self._path_sigma)) / math.sqrt(1 - (1 - c) ** (2 * self.generation))
        is_steady = norm < (1.4 + 2 / (dim + 1)) * self._expected_norm
        d = self._c_path
        self._path_c *= 1 - d
        if is_steady:
            self._path_c += math.sqrt(d * (2 - d) * self._mu_eff) * shift
        missing = 0.0 if is_steady else d * (2 - d)
        # Bad directions count as if they were of the length that is expected.
        weights = np.where(
            self._weights >= 0, self._weights, self._weights * dim / np.maximum(lengths**2, 1e-12)
        )
        self._adapt(steps, weights, missing)
        surplus = float(np.linalg.norm(self._path_sigma)) / self._expected_norm - 1
        self.sigma = min(self.sigma * math.exp(min(1.0, c / self._damping * surplus)), _LARGEST)

    def _adapt(self, steps: Rows, weights: Rows, missing: float) -> None:
        """Move the covariance towards the paths and steps of this generation."""
        keep = 1 + self._c_1 * missing - self._c_1 - self._c_mu * float(self._weights.sum())
        path = self._path_c
        if not self._is_full:
            moved = self._c_1 * path**2 + self._c_mu * (weights @ steps**2)
            self._covariance = np.maximum(keep * self._covariance + moved, 1e-20)
            self._scales = np.sqrt(self._covariance)
            return
        moved = self._c_1 * np.outer(path, path) + self._c_mu * (steps.T * weights) @ steps
        covariance = keep * self._covariance + moved
        values, self._axes = np.linalg.eigh((covariance + covariance.T) / 2)
        self._scales = np.sqrt(np.maximum(values, 1e-20))
        self._covariance = (self._axes * self._scales**2) @ self._axes.T

    def _whitened(self, steps: Rows) -> Rows:
        """Steps in units of the distribution's deviations: (n, dim)."""
        if not self._is_full:
            return steps / self._scales
        return ((steps @ self._axes) / self._scales) @ self._axes.T

    def is_spent(self, least_step: float) -> bool:
        """Whether it cannot move on: all steps below `least_step`, or an ill covariance."""
        longest, shortest = float(self._scales.max()), float(self._scales.min())
        return self.sigma * longest < least_step or (longest / shortest) ** 2 > _CONDITION
