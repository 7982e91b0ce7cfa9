"""How wide the kernels of a density are: rules from the observations alone.

Both give the deviation of a normal for numbers; for choices the share of the Aitchison-Aitken
kernel that is spread over all choices (see `autodl.searchers.density`).
"""

from __future__ import annotations

import math

import numpy as np

from autodl.searchers.density import Mask
from autodl.searchers.features import Features, Rows

_FINEST = 100.0  # kernels of one range
_NARROWING = 1.5  # exponent of the least width
_LEAST = 0.03  # of a range, in the rule of thumb
_NORMAL = 1.06  # constant of the rule of thumb for a normal density


def by_neighbours(features: Features, rows: Rows, active: Mask) -> Rows:
    """As wide as the gap to the farther of the two nearest observations, column by column.

    Never below 1 / (m + 1)^1.5 nor 0.01, m observations of the column: the gap may be 0. With an
    exponent of 1 a few good trials that lie together would make too wide a density. For a choice of k the
    smoothing is that of one observation spread over all: k / (m + 1 + k).

    Source: J. Bergstra et al. (NIPS 2011, section 4.2); S. Watanabe (2023, section 3.3.3: the
    exponent of the least width).

    Args:
        features: the space.
        rows: (n, dim), canonical.
        active: (n, dim), where they have a value.

    Returns:
        (n, dim)
    """
    widths = np.ones(rows.shape)
    for column in range(features.dim):
        here = active[:, column]
        count = int(here.sum())
        edges = features.edges[column]
        if features.is_unordered[column] and edges is not None:
            choices = len(edges) - 1
            widths[:, column] = choices / (count + 1 + choices)
        elif count > 1:
            least = 1 / min(_FINEST, (1.0 + count) ** _NARROWING)
            widths[here, column] = np.clip(_gaps(rows[here, column]), least, 1.0)
    return widths


def _gaps(values: Rows) -> Rows:
    """Of each value the distance to the farther of its neighbours below and above: (m,), m >= 2."""
    order = np.argsort(values, kind="stable")
    steps = np.diff(values[order])
    gaps = np.empty(len(values))
    gaps[order] = np.maximum(np.append(steps, 0.0), np.insert(steps, 0, 0.0))
    return gaps


def by_spread(features: Features, rows: Rows, active: Mask) -> Rows:
    """The rule of thumb for normal densities, one width a column: 1.06 s m^(-1 / (4 + dim)).

    Here s is the deviation of the column's m observations; no width is below 0.03. For a choice
    of k the share is 1 / m^(2 / (4 + dim)), brought down by how much one of the choices rules.

    Source: D. Scott, "Multivariate Density Estimation" (1992); S. Falkner, A. Klein, F. Hutter
    (ICML 2018, section 4.1).

    Args:
        features: the space.
        rows: (n, dim), canonical.
        active: (n, dim), where they have a value.

    Returns:
        (n, dim)
    """
    widths = np.ones(rows.shape)
    for column in range(features.dim):
        values = rows[active[:, column], column]
        if not len(values):
            continue
        shrink = float(len(values)) ** (-1 / (4 + features.dim))
        if features.is_unordered[column]:
            _, counts = np.unique(values, return_counts=True)
            impurity = 1 - float(((counts / counts.sum()) ** 2).sum())
            width = shrink * math.sqrt(impurity)
        else:
            width = _NORMAL * float(values.std()) * shrink
        widths[:, column] = min(max(width, _LEAST), 1.0)
    return widths
