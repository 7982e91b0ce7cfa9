"""Surrogate models of the loss, on scikit-optimize's estimators."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_LEAF_VARIANCE = 1e-4
_FIT_STEPS = 20
_ARD_FEATURES = 20  # more would make a length scale for each slow to fit and easy to overfit

DATA_LIMITS = {"GP": 120, "RF": 1000, "ET": 1000}
"""Surrogates, with the observations each is fitted on at most: its cost per trial stays flat."""


class Surrogate:
    """A model of the loss that says how sure it is.

    Args:
        kind: "GP" (Gaussian process, Matern 5/2), "RF" (random forest) or "ET" (extra trees).
        seed: seed of the fit.
    """

    def __init__(self, kind: str, seed: int) -> None:
        self.kind, self.seed = kind, seed

    def fit(self, features: Array, losses: Array) -> None:
        """Learn from observations: features (n, d), losses (n,), standardised by the caller."""
        self._features, self._losses = features, losses
        self._model = _gaussian_process(features.shape[1], self.seed) if self.kind == "GP" else self._trees()
        self._fit_quietly(self._model, features, losses)

    def believe(self, features: Array) -> None:
        """Take pending points, (m, d), as if they had come out as predicted (kriging believer).

        The mean stays; the spread around them vanishes, so that workers do not crowd. Source:
        D. Ginsbourger, R. Le Riche, L. Carraro, "Kriging is well-suited to parallelize
        optimization" (2010), section 4.
        """
        mean, _ = self.predict(features)
        if self.kind == "GP":
            kernel = self._model.kernel_
            fixed = _with_noise(kernel, self._model.noise_)
            self._model = _gaussian_process(features.shape[1], self.seed, kernel=fixed)
        self._fit_quietly(
            self._model, np.vstack([self._features, features]), np.concatenate([self._losses, mean])
        )

    def predict(self, features: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the loss: (n, d) -> (n,), (n,)."""
        return self._predict_gp(features) if self.kind == "GP" else self._predict_trees(features)

    def _predict_gp(self, features: Array) -> tuple[Array, Array]:
        # As the estimator does it, but by its Cholesky factor instead of the inverse: 20 times
        # faster than its einsum over three operands, and the variance is rarely below zero.
        from scipy.linalg import solve_triangular  # noqa: PLC0415  # heavy, and used by this searcher only

        model = self._model
        cross = model.kernel_(features, model.X_train_)
        mean = model.y_train_mean_ + model.y_train_std_ * (cross @ model.alpha_)
        explained = np.square(solve_triangular(model.L_, cross.T, lower=True)).sum(axis=0)
        variance = np.maximum(model.kernel_.diag(features) - explained, 0.0)
        return mean, model.y_train_std_ * np.sqrt(variance)

    def _predict_trees(self, features: Array) -> tuple[Array, Array]:
        # As the estimator does it (law of total variance over trees, with the variance inside a
        # leaf), without checking the features anew for each tree, which took 9/10 of the time.
        points = np.ascontiguousarray(features, dtype=np.float32)
        means, squares = np.zeros(len(points)), np.zeros(len(points))
        trees = self._model.estimators_
        for estimator in trees:
            tree = estimator.tree_
            leaves = tree.apply(points)
            values = tree.value[leaves, 0, 0]
            means += values / len(trees)
            squares += (values**2 + np.maximum(tree.impurity[leaves], _LEAF_VARIANCE)) / len(trees)
        return means, np.sqrt(np.maximum(squares - means**2, 0.0))

    def _trees(self) -> Any:
        from skopt.learning import ExtraTreesRegressor, RandomForestRegressor  # noqa: PLC0415  # imports sklearn

        maker = {"RF": RandomForestRegressor, "ET": ExtraTreesRegressor}[self.kind]
        return maker(n_estimators=50, min_samples_leaf=1, min_variance=_LEAF_VARIANCE, random_state=self.seed)

    @staticmethod
    def _fit_quietly(model: Any, features: Array, losses: Array) -> None:
        with _quiet():
            model.fit(features, losses)


def _gaussian_process(dim: int, seed: int, kernel: Any = None) -> Any:
    """A GP with the kernel's parameters fitted, or as given in `kernel`."""
    from skopt.learning import GaussianProcessRegressor  # noqa: PLC0415  # imports sklearn
    from skopt.learning.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel  # noqa: PLC0415

    if kernel is not None:
        return GaussianProcessRegressor(kernel=kernel, optimizer=None, noise="gaussian", alpha=1e-8)
    scales = np.full(dim, 0.5) if dim <= _ARD_FEATURES else 0.5
    kernel = ConstantKernel(1.0, (0.01, 1000.0)) * Matern(scales, (0.05, 50.0), nu=2.5)
    kernel += WhiteKernel(1e-2, (1e-6, 1.0))
    return GaussianProcessRegressor(
        kernel=kernel,
        noise="gaussian",
        alpha=1e-8,
        optimizer=_maximise,
        random_state=seed,
    )


def _maximise(objective: Any, start: Array, bounds: Array) -> tuple[Array, float]:
    """L-BFGS-B with few steps: the last digits of a likelihood's maximum change no proposal."""
    from scipy.optimize import minimize  # noqa: PLC0415  # heavy, and used by this searcher only

    options = {"maxiter": _FIT_STEPS, "ftol": 1e-4}
    found = minimize(objective, start, jac=True, bounds=bounds, method="L-BFGS-B", options=options)
    return found.x, float(found.fun)


def _with_noise(kernel: Any, noise: float) -> Any:
    """The fitted kernel with its noise put back, which the estimator sets to zero for predictions."""
    from skopt.learning.gaussian_process.kernels import WhiteKernel  # noqa: PLC0415  # imports sklearn

    return kernel.k1 + WhiteKernel(noise)


@contextmanager
def _quiet() -> Iterator[None]:
    """Warnings of the estimators that mean nothing to a user: length scales at a bound, and the like."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
