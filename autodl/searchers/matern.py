"""The Matern 5/2 kernel with one length scale a group of features, and its derivatives.

Source: C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine Learning" (2006),
equation 4.17. With ``a = sqrt(5) r``, ``k = (1 + a + a^2 / 3) exp(-a)``; its derivative by the
squared distance, ``-5/6 (1 + a) exp(-a)``, has no pole at 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Groups = NDArray[np.intp]

_SQRT5 = 5.0**0.5


def squared_distances(a: Array, b: Array) -> Array:
    """Of each row of `a` to each of `b`: (n, d), (m, d) -> (n, m)."""
    cross = a @ b.T
    cross *= -2.0
    cross += np.square(a).sum(axis=1)[:, None]
    cross += np.square(b).sum(axis=1)[None, :]
    return np.maximum(cross, 0.0, out=cross)


def matern52(squared: Array) -> Array:
    """The kernel of variance 1, by the squared scaled distance; any shape."""
    a = _SQRT5 * np.sqrt(squared)
    return (1.0 + a + a * a / 3.0) * np.exp(-a)


def matern52_with_slope(squared: Array) -> tuple[Array, Array]:
    """The kernel, and its derivative by the squared scaled distance; any shape."""
    a = _SQRT5 * np.sqrt(squared)
    decay = np.exp(-a)
    return (1.0 + a + a * a / 3.0) * decay, -(5.0 / 6.0) * (1.0 + a) * decay


def grouped_squares(x: Array, groups: Groups) -> Array:
    """Squared differences within a sample, summed over the features of a group.

    Args:
        x: (n, d).
        groups: (d,), the number of each feature's group, from 0.

    Returns:
        (g, n (n - 1) / 2): of each pair ``i < j``, row by row, as ``numpy.triu_indices`` lists them.
    """
    rows, columns = np.triu_indices(len(x), 1)
    squares = np.zeros((int(groups.max(initial=-1)) + 1, len(rows)))
    for feature, group in enumerate(groups):
        values = np.ascontiguousarray(x[:, feature])
        difference = values[rows] - values[columns]
        squares[group] += difference * difference
    return squares
