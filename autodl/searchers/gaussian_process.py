"""A Gaussian process on numpy: light enough to be refitted at every trial.

Source: C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine Learning" (2006),
algorithm 2.1. Targets may have several columns, one a fantasy of how pending trials come out:
the columns share the features, and with them the factorisation and the predicted deviation.
"""

from __future__ import annotations

import numpy as np

from autodl.searchers.gp_fit import JITTER, Hyperparameters, Priors, fit_hyperparameters
from autodl.searchers.matern import Array, Groups, matern52, matern52_with_slope, squared_distances

_LEAST_VARIANCE = 1e-12  # of the signal's: predicted variance never falls below


def cholesky(gram: Array) -> Array:
    """The lower factor (n, n) of a covariance, with as much added to the diagonal as it takes."""
    from scipy.linalg import LinAlgError  # noqa: PLC0415  # heavy, used by GPs only
    from scipy.linalg import cholesky as factorise  # noqa: PLC0415

    added = 0.0
    while True:
        try:
            factor: Array = factorise(
                gram + added * np.eye(len(gram)) if added else gram, lower=True, check_finite=False
            )
        except LinAlgError:
            added = max(10.0 * added, 1e-8 * float(np.trace(gram)) / len(gram))
        else:
            return factor


class GaussianProcess:
    """Matern 5/2 with a length scale a group of features and a constant mean.

    Immutable: `fit`, `condition` and `fantasise` make new ones.

    Args:
        x: features (n, d).
        y: targets (n,) or (n, m): m sets of targets at the same features.
        groups: (d,), the length scale that each feature uses.
        hyperparameters: of the kernel.
        mean: the constant mean; None: the most likely one, of the first column.

    Attributes:
        mean: the constant mean.
        hyperparameters: as given.
    """

    def __init__(
        self,
        x: Array,
        y: Array,
        groups: Groups,
        hyperparameters: Hyperparameters,
        mean: float | None = None,
    ) -> None:
        from scipy.linalg import cho_solve  # noqa: PLC0415  # heavy, used by GPs only

        self.x, self.y, self.groups, self.hyperparameters = x, y, groups, hyperparameters
        self._inverse_scales = 1.0 / hyperparameters.scales[groups]
        self._scaled = x * self._inverse_scales
        variance, noise = hyperparameters.variance, hyperparameters.noise
        gram = variance * matern52(squared_distances(self._scaled, self._scaled))
        gram[np.diag_indices_from(gram)] = variance * (1.0 + JITTER) + noise
        self._factor = cholesky(gram)
        columns = y.reshape(len(y), -1)
        if mean is None:
            weights = cho_solve((self._factor, True), np.ones(len(y)), check_finite=False)
            mean = float(weights @ columns[:, 0] / weights.sum())
        self.mean = mean
        self._alpha = cho_solve((self._factor, True), columns - mean, check_finite=False)

    @classmethod
    def fit(
        cls,
        x: Array,
        y: Array,
        groups: Groups,
        *,
        priors: Priors | None = None,
        start: Hyperparameters | None = None,
        max_steps: int = 50,
    ) -> GaussianProcess:
        """With the most probable hyper-parameters: x (n, d), y (n,); see `fit_hyperparameters`."""
        found = fit_hyperparameters(x, y, groups, priors or Priors(), start, max_steps=max_steps)
        return cls(x, y, groups, found)

    def predict(self, points: Array) -> tuple[Array, Array]:
        """Means (k, m) of each column of targets and deviations (k,) without noise, at points (k, d)."""
        from scipy.linalg import solve_triangular  # noqa: PLC0415  # heavy, used by GPs only

        cross = self._cross(points)
        means = self.mean + cross @ self._alpha
        half = solve_triangular(self._factor, cross.T, lower=True, overwrite_b=True, check_finite=False)
        return means, self._deviation(self.hyperparameters.variance - np.square(half).sum(axis=0))

    def predict_with_gradient(self, point: Array) -> tuple[Array, float, Array, Array]:
        """At one point (d,): means (m,), deviation, and their gradients (m, d) and (d,)."""
        from scipy.linalg import cho_solve  # noqa: PLC0415  # heavy, used by GPs only

        variance = self.hyperparameters.variance
        difference = point * self._inverse_scales - self._scaled
        kernel, slope = matern52_with_slope(np.square(difference).sum(axis=1))
        cross = variance * kernel
        # d cross_i / d point: (n, d).
        by_point = (2.0 * variance * slope)[:, None] * difference * self._inverse_scales
        weights = cho_solve((self._factor, True), cross, check_finite=False)
        deviation = float(self._deviation(np.array(variance - cross @ weights)))
        return (
            self.mean + cross @ self._alpha,
            deviation,
            self._alpha.T @ by_point,
            -(weights @ by_point) / deviation,
        )

    def joint(self, points: Array) -> tuple[Array, Array]:
        """Means (k, m) and the covariance (k, k) of the signal at points (k, d)."""
        from scipy.linalg import solve_triangular  # noqa: PLC0415  # heavy, used by GPs only

        cross = self._cross(points)
        half = solve_triangular(self._factor, cross.T, lower=True, check_finite=False)
        scaled = points * self._inverse_scales
        prior = self.hyperparameters.variance * matern52(squared_distances(scaled, scaled))
        return self.mean + cross @ self._alpha, prior - half.T @ half

    def fantasise(self, points: Array, normals: Array) -> GaussianProcess:
        """As if pending points had come out: one column of targets for each of m draws.

        Args:
            points: (k, d).
            normals: (k, m) standard normal numbers; zeros give the predicted mean.
        """
        means, covariance = self.joint(points)
        covariance[np.diag_indices_from(covariance)] += JITTER * self.hyperparameters.variance
        drawn = means[:, :1] + cholesky(covariance) @ normals
        known = np.repeat(self.y.reshape(len(self.y), -1)[:, :1], normals.shape[1], axis=1)
        return GaussianProcess(
            np.vstack([self.x, points]),
            np.vstack([known, drawn]),
            self.groups,
            self.hyperparameters,
            self.mean,
        )

    def fitted(self) -> Array:
        """The means at the model's own points: (n, m), between the targets where there is noise."""
        fitted: Array = self.y.reshape(len(self.y), -1) - self.hyperparameters.noise * self._alpha
        return fitted

    def _cross(self, points: Array) -> Array:
        squared = squared_distances(points * self._inverse_scales, self._scaled)
        return self.hyperparameters.variance * matern52(squared)

    def _deviation(self, variance: Array) -> Array:
        deviation: Array = np.sqrt(np.maximum(variance, _LEAST_VARIANCE * self.hyperparameters.variance))
        return deviation
