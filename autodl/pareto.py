"""Arithmetic on points with several coordinates to be maximised: fronts, crowding, hypervolume.

All functions are pure; "larger is better" in every coordinate.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autodl.errors import OptionError

Points = NDArray[np.float64]


def non_dominated(points: ArrayLike) -> NDArray[np.bool_]:
    """Which points no other beats: as good in all coordinates and better in one.

    Args:
        points: (n, m); equal points are all kept; a point with a NaN never is.

    Returns:
        (n,) mask.

    Example:
        >>> non_dominated([[1, 3], [2, 2], [1, 2]]).tolist()
        [True, True, False]
    """
    table = _table(points)
    mask: NDArray[np.bool_] = np.all(~np.isnan(table), axis=1)
    # Sorted by the sum, no point is beaten by a later one: each is compared with the front so far.
    order = np.flatnonzero(mask)
    order = order[np.argsort(-table[order].sum(axis=1), kind="stable")]
    front = np.empty((0, table.shape[1]))
    for position in order:
        point = table[position]
        beaten = ((front >= point).all(axis=1) & (front > point).any(axis=1)).any()
        mask[position] = not beaten
        if not beaten:
            # Rounding can make the sums of two points equal though one beats the other.
            front = np.vstack([front, point])
    if mask.any():
        chosen = np.flatnonzero(mask)
        mask[chosen] = [not _beats(front, table[position]) for position in chosen]
    return mask


def _beats(front: Points, point: Points) -> bool:
    return bool(((front >= point).all(axis=1) & (front > point).any(axis=1)).any())


def front_ranks(points: ArrayLike) -> NDArray[np.int64]:
    """The front each point lies on, from 0: the non-dominated ones, then those of the rest, ...

    Source: K. Deb et al., "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II" (2002),
    section III A.

    Args:
        points: (n, m) without NaN.

    Returns:
        (n,).
    """
    table = _table(points)
    ranks = np.full(len(table), -1, dtype=np.int64)
    rank = 0
    while (left := np.flatnonzero(ranks < 0)).size:
        mask = non_dominated(table[left])
        ranks[left[mask] if mask.any() else left] = rank
        rank += 1
    return ranks


def crowding_distance(points: ArrayLike) -> Points:
    """How lonely each point of a front is: the sum over coordinates of the gap between its neighbours.

    Each gap is relative to the coordinate's range; the ends of a coordinate are infinitely lonely.
    Source: Deb et al. (2002), section III B.

    Args:
        points: (n, m), of one front.

    Returns:
        (n,).

    Example:
        >>> crowding_distance([[0, 4], [1, 1], [4, 0]]).tolist()
        [inf, 2.0, inf]
    """
    table = _table(points)
    distance = np.zeros(len(table))
    for column in table.T:
        order = np.argsort(column, kind="stable")
        ordered = column[order]
        if len(order):
            distance[order[[0, -1]]] = np.inf
        span = ordered[-1] - ordered[0] if len(order) else 0.0
        if span > 0.0:
            distance[order[1:-1]] += (ordered[2:] - ordered[:-2]) / span
    return distance


def hypervolume(points: ArrayLike, reference: ArrayLike) -> float:
    """The volume between a reference point and a set of points: exact, for any number of coordinates.

    Two coordinates take one sweep, three a sweep of those; more are cut down by the exclusive
    volumes of L. While, L. Bradstreet, L. Barone, "A Fast Way of Calculating Exact Hypervolumes"
    (2012), whose cost grows exponentially with the coordinates.

    Args:
        points: (n, m); what does not beat the reference in every coordinate adds nothing.
        reference: (m,), a point as bad as can be.

    Example:
        >>> hypervolume([[1, 3], [2, 2], [3, 1]], [0, 0])
        6.0
    """
    base = np.asarray(reference, dtype=np.float64)
    table = _table(points, base.size)
    if base.shape != (table.shape[1],):
        raise OptionError(f"the reference needs {table.shape[1]} coordinates, got {base.size}")
    inside = table[(table > base).all(axis=1)] - base
    return float(_volume(inside[non_dominated(inside)]))


def _volume(front: Points) -> float:
    """Of mutually non-dominated points (n, m), from the origin."""
    if len(front) == 0:
        return 0.0
    match front.shape[1]:
        case 1:
            return float(front.max())
        case 2:
            return _area(front)
        case 3:
            return _volume3(front)
    ordered = front[np.argsort(front[:, -1], kind="stable")]
    return sum(_exclusive(point, ordered[position + 1 :]) for position, point in enumerate(ordered))


def _area(points: Points) -> float:
    """Two coordinates: a staircase from the right; points may be dominated."""
    ordered = points[np.argsort(-points[:, 0], kind="stable")]
    heights = np.maximum.accumulate(ordered[:, 1])
    steps = np.diff(np.concatenate([[0.0], heights]))
    return float((ordered[:, 0] * steps).sum())


def _volume3(front: Points) -> float:
    """Slabs along the last coordinate, each as large as the area of what reaches it."""
    ordered = front[np.argsort(-front[:, 2], kind="stable")]
    depths = ordered[:, 2] - np.concatenate([ordered[1:, 2], [0.0]])
    return sum(
        float(depth) * _area(ordered[: position + 1, :2])
        for position, depth in enumerate(depths)
        if depth > 0.0
    )


def _exclusive(point: Points, others: Points) -> float:
    """The volume below `point` that `others` leave uncovered."""
    limited = np.minimum(others, point)
    return float(np.prod(point)) - _volume(limited[non_dominated(limited)] if len(limited) else limited)


def reference_of(points: ArrayLike) -> Points:
    """A reference for points that come without one: their worst, a tenth of the range worse.

    Args:
        points: (n, m), at least one.

    Returns:
        (m,).
    """
    table = _table(points)
    low, high = table.min(axis=0), table.max(axis=0)
    span = np.where(high > low, high - low, np.maximum(np.abs(high), 1.0))
    worst: Points = low - 0.1 * span
    return worst


def _table(points: ArrayLike, columns: int = 0) -> Points:
    table = np.asarray(points, dtype=np.float64)
    if table.size == 0 and table.ndim < 2:
        table = table.reshape(0, columns)
    if table.ndim != 2:
        raise OptionError(f"points must be a table (points, coordinates), got the shape {table.shape}")
    return table
