"""A Gaussian process over (config, resource), seen at one resource like a process over configs."""

from __future__ import annotations

import numpy as np

from autodl.searchers.gaussian_process import cholesky
from autodl.searchers.gp_fit import JITTER
from autodl.searchers.matern import Array, Groups, matern52, matern52_with_slope, squared_distances
from autodl.searchers.mobster_fit import CurveParameters

_LEAST_VARIANCE = 1e-12


class CurveProcess:
    """Learning curves given measurements.

    Args:
        x: features (n, d).
        resource: (n,).
        y: targets (n, m): m sets of targets, each a fantasy of how pending measurements come out.
        groups: (d,), the length scale that each feature uses.
        parameters: of the kernel.
    """

    def __init__(
        self, x: Array, resource: Array, y: Array, groups: Groups, parameters: CurveParameters
    ) -> None:
        from scipy.linalg import cho_solve  # noqa: PLC0415  # heavy, used by GPs only

        self.x, self.resource, self.y, self.groups, self.parameters = x, resource, y, groups, parameters
        configs = parameters.configs
        self._inverse_scales = 1.0 / configs.scales[groups]
        self._scaled = x * self._inverse_scales
        gram = self.covariance(x, resource, self._scaled, resource)
        gram[np.diag_indices(len(x))] += JITTER * configs.variance + configs.noise
        self._factor = cholesky(gram)
        self._alpha = cho_solve(
            (self._factor, True), y - parameters.decay.means(resource)[:, None], check_finite=False
        )

    def covariance(self, x: Array, resource: Array, scaled: Array, other: Array) -> Array:
        """Of points (k, d) at resources (k,) with scaled points (n, d) at resources (n,): (k, n)."""
        kernel = matern52(squared_distances(x * self._inverse_scales, scaled))
        levels, index = np.unique(resource, return_inverse=True)
        others, columns = np.unique(other, return_inverse=True)
        factor, added = self.parameters.decay.factors(levels, others)
        pick = np.ix_(index, columns)
        covariance: Array = self.parameters.configs.variance * kernel * factor[pick] + added[pick]
        return covariance

    def fantasise(self, x: Array, resource: Array, normals: Array) -> CurveProcess:
        """As if pending measurements had come out: (k, d), (k,), one column for each draw of (k, m)."""
        from scipy.linalg import solve_triangular  # noqa: PLC0415  # heavy, used by GPs only

        cross = self.covariance(x, resource, self._scaled, self.resource)
        half = solve_triangular(self._factor, cross.T, lower=True, check_finite=False)
        prior = self.covariance(x, resource, x * self._inverse_scales, resource)
        spread = prior - half.T @ half
        spread[np.diag_indices(len(x))] += JITTER * self.parameters.configs.variance
        means = self.parameters.decay.means(resource)[:, None] + cross @ self._alpha[:, :1]
        drawn = means + cholesky(spread) @ normals
        known = np.repeat(self.y[:, :1], normals.shape[1], axis=1)
        return CurveProcess(
            np.vstack([self.x, x]),
            np.concatenate([self.resource, resource]),
            np.vstack([known, drawn]),
            self.groups,
            self.parameters,
        )

    def at(self, resource: float) -> AtResource:
        """What is predicted at one resource."""
        return AtResource(self, resource)


class AtResource:
    """The process at one resource; the methods that `LogExpectedImprovement` asks of a model."""

    def __init__(self, process: CurveProcess, resource: float) -> None:
        self._process, self._resource = process, resource
        decay = process.parameters.decay
        levels, index = np.unique(process.resource, return_inverse=True)
        factor, added = decay.factors(np.array([resource]), levels)
        self._by_kernel = process.parameters.configs.variance * factor[0][index]
        self._added = added[0][index]
        own_factor, own_added = decay.factors(np.array([resource]), np.array([resource]))
        self._prior = float(process.parameters.configs.variance * own_factor[0, 0] + own_added[0, 0])
        self._mean = float(decay.means(np.array([resource]))[0])

    def predict(self, points: Array) -> tuple[Array, Array]:
        """Means (k, m) and deviations (k,) without noise, at points (k, d)."""
        from scipy.linalg import solve_triangular  # noqa: PLC0415  # heavy, used by GPs only

        process = self._process
        kernel = matern52(squared_distances(points * process._inverse_scales, process._scaled))
        cross = kernel * self._by_kernel + self._added
        half = solve_triangular(process._factor, cross.T, lower=True, check_finite=False)
        return self._mean + cross @ process._alpha, self._deviation(self._prior - np.square(half).sum(axis=0))

    def predict_with_gradient(self, point: Array) -> tuple[Array, float, Array, Array]:
        """At one point (d,): means (m,), deviation, and their gradients (m, d) and (d,)."""
        from scipy.linalg import cho_solve  # noqa: PLC0415  # heavy, used by GPs only

        process = self._process
        difference = point * process._inverse_scales - process._scaled
        kernel, slope = matern52_with_slope(np.square(difference).sum(axis=1))
        cross = self._by_kernel * kernel + self._added
        by_point = (2.0 * self._by_kernel * slope)[:, None] * difference * process._inverse_scales
        weights = cho_solve((process._factor, True), cross, check_finite=False)
        deviation = float(self._deviation(np.array(self._prior - cross @ weights)))
        return (
            self._mean + cross @ process._alpha,
            deviation,
            process._alpha.T @ by_point,
            -(weights @ by_point) / deviation,
        )

    def fitted(self) -> Array:
        """Means (k, m) at the process's own configs."""
        return self.predict(np.unique(self._process.x, axis=0))[0]

    def _deviation(self, variance: Array) -> Array:
        least = _LEAST_VARIANCE * max(self._prior, 1e-12)
        deviation: Array = np.sqrt(np.maximum(variance, least))
        return deviation
