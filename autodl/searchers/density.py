"""Kernel densities over the unit cube of a search space, conditional columns included.

One kernel sits on each observation; a column has the kernel that its kind calls for: a normal
cut off at the ends of [0, 1] for real numbers, the same by its mass in each bin for integers,
and for choices the kernel of J. Aitchison and C. Aitken ("Multivariate binary discrimination by
the kernel method", Biometrika 1976). Where an observation has no value, because its column
hangs on another choice, its kernel is uniform; points are compared on their active columns only.

Sources: J. Bergstra et al. (NIPS 2011); S. Falkner, A. Klein, F. Hutter (ICML 2018);
S. Watanabe, "Tree-structured Parzen estimator" (2023).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autodl.searchers.features import Features, Rows

Mask = NDArray[np.bool_]

_TINY = 1e-300  # a mass that underflows still has a logarithm


@dataclass(frozen=True, slots=True)
class Mixture:
    """A density of the unit cube: kernels on n observations, and perhaps a uniform prior.

    Attributes:
        features: the space.
        rows: (n, dim), the observations, canonical.
        active: (n, dim), where they have a value.
        bandwidths: (n, dim), > 0: a deviation for numbers; for choices the share in [0, 1] of a
            kernel that is spread evenly over all choices.
        weights: (n,), >= 0, of any sum.
        prior: weight of the uniform prior, beside `weights`.
    """

    features: Features
    rows: Rows
    active: Mask
    bandwidths: Rows
    weights: Rows
    prior: float = 0.0

    def log_density(self, points: Rows, active: Mask) -> Rows:
        """Logarithm of the joint density: each kernel is a product over the active columns.

        Args:
            points: (m, dim), canonical.
            active: (m, dim); the columns that are compared.

        Returns:
            (m,)
        """
        total = np.zeros((len(points), len(self.rows)))
        for column in np.flatnonzero(active.any(axis=0)).tolist():
            total += self._log_kernels(column, points[:, column]) * active[:, [column]]
        return _log_mean(total, self.weights, self.prior)

    def log_marginals(self, points: Rows) -> Rows:
        """Logarithm of each column's own density, of the observations that have a value there.

        Args:
            points: (m, dim).

        Returns:
            (m, dim)
        """
        logs = np.zeros(points.shape)
        for column in range(points.shape[1]):
            here = self.active[:, column]
            kernels = self._log_kernels(column, points[:, column], here)
            logs[:, column] = _log_mean(kernels, self.weights[here], self.prior)
        return logs

    def sample(self, count: int, rng: np.random.Generator, *, widen: float = 1.0) -> Rows:
        """Points of the joint density, not canonical yet: (count, dim).

        Args:
            count: how many.
            rng: where they come from.
            widen: factor of the bandwidths.
        """
        chosen = _choose(self.weights, self.prior, count, rng)
        return self._around(np.broadcast_to(chosen[:, None], (count, self.features.dim)), rng, widen)

    def sample_marginals(self, count: int, rng: np.random.Generator) -> Rows:
        """Points whose columns come from each column's own density: (count, dim)."""
        chosen = np.empty((count, self.features.dim), dtype=np.intp)
        for column in range(self.features.dim):
            weights = self.weights * self.active[:, column]
            chosen[:, column] = _choose(weights, self.prior, count, rng)
        return self._around(chosen, rng, 1.0)

    def _around(self, chosen: NDArray[np.intp], rng: np.random.Generator, widen: float) -> Rows:
        """Draws from the kernels of the chosen observations, -1 is the prior: (m, dim)."""
        from scipy.special import ndtr, ndtri  # noqa: PLC0415  # `import autodl` must not import scipy

        points = rng.random(chosen.shape)  # of the prior, and of kernels without a value
        if not len(self.rows):
            return points
        columns = np.arange(self.features.dim)[None, :]
        near = (chosen >= 0) & self.active[chosen, columns]
        centres, widths = self.rows[chosen, columns], self.bandwidths[chosen, columns] * widen
        is_choice = self.features.is_unordered[None, :]
        low, high = ndtr(-centres / widths), ndtr((1 - centres) / widths)
        steps = centres + widths * ndtri(low + points * (high - low))
        kept = rng.random(chosen.shape) >= widths
        drawn = np.where(is_choice, np.where(kept, centres, points), np.clip(steps, 0.0, 1.0))
        return np.where(near, drawn, points)

    def _log_kernels(self, column: int, points: Rows, kept: Mask | None = None) -> Rows:
        """Logarithm of each kernel at each point of one column: (m, n), n of `kept`."""
        kept = np.ones(len(self.rows), dtype=bool) if kept is None else kept
        centres, widths = self.rows[kept, column], self.bandwidths[kept, column]
        edges = self.features.edges[column]
        if edges is None:
            logs = _log_normal(points, centres, widths)
        elif self.features.is_unordered[column]:
            # Of k choices each is a bin 1 / k wide: a mass of 1 there is a density of k.
            same = np.isclose(points[:, None], centres[None, :])
            spread = np.minimum(widths, 1.0)
            logs = np.log(np.where(same, spread + (1 - spread) * (len(edges) - 1), spread))
        else:
            logs = _log_bins(points, centres, widths, edges)
        return np.where(self.active[kept, column], logs, 0.0)


def _log_normal(points: Rows, centres: Rows, widths: Rows) -> Rows:
    """Log density of normals cut off at 0 and 1: (m, n)."""
    from scipy.special import ndtr  # noqa: PLC0415  # `import autodl` must not import scipy

    inside = ndtr((1 - centres) / widths) - ndtr(-centres / widths)
    scale = np.log(widths * inside) + 0.5 * np.log(2 * np.pi)
    distances = (points[:, None] - centres[None, :]) / widths
    logs: Rows = -0.5 * distances * distances - scale
    return logs


def _log_bins(points: Rows, centres: Rows, widths: Rows, edges: Rows) -> Rows:
    """Log of the mean density of the same normals over the bin of each point: (m, n)."""
    from scipy.special import ndtr  # noqa: PLC0415  # `import autodl` must not import scipy

    inside = ndtr((1 - centres) / widths) - ndtr(-centres / widths)
    bins = np.clip(np.searchsorted(edges, points, side="right") - 1, 0, len(edges) - 2)
    found, place = np.unique(bins, return_inverse=True)
    # Right of a centre the mass is taken from the other tail: 1 - 1e-20 has no digits left.
    low = (edges[found][:, None] - centres[None, :]) / widths
    high = (edges[found + 1][:, None] - centres[None, :]) / widths
    flip = low > 0
    mass = ndtr(np.where(flip, -low, high)) - ndtr(np.where(flip, -high, low))
    size = (edges[found + 1] - edges[found])[:, None]
    logs: Rows = np.log(np.maximum(mass, _TINY)) - np.log(inside * size)
    return logs[place]


def _log_mean(logs: Rows, weights: Rows, prior: float) -> Rows:
    """Log of the weighted mean over the last axis and a prior of density 1: (m, n) -> (m,)."""
    total = float(weights.sum()) + prior
    if not total > 0:  # nothing is known and nothing is assumed
        return np.zeros(len(logs))
    # 0 is the logarithm of the prior's density.
    top = logs.max(axis=1, initial=0.0 if prior > 0 or not logs.shape[1] else -np.inf)
    mean: Rows = np.exp(logs - top[:, None]) @ weights
    if prior > 0:  # else `top` may be far below 0
        mean = mean + prior * np.exp(-top)
    result: Rows = top + np.log(np.maximum(mean, _TINY)) - np.log(total)
    return result


def _choose(weights: Rows, prior: float, count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Observations drawn by their weights: (count,), -1 for the prior."""
    ends = np.cumsum(weights)
    total = (float(ends[-1]) if len(ends) else 0.0) + prior
    if not total > 0:
        return np.full(count, -1)
    chosen = np.searchsorted(ends, rng.random(count) * total, side="right")
    return np.where(chosen < len(ends), chosen, -1)
