from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from autodl.errors import OptionError
from autodl.pareto import crowding_distance, front_ranks, hypervolume, non_dominated, reference_of

POINTS = st.integers(1, 4).flatmap(
    lambda m: arrays(np.float64, st.tuples(st.integers(0, 9), st.just(m)), elements=st.integers(0, 4))
)


@settings(max_examples=60, deadline=None)
@given(POINTS)
def test_a_point_is_kept_if_and_only_if_no_other_beats_it(points):
    mask = non_dominated(points)
    for i, point in enumerate(points):
        beaten = any((other >= point).all() and (other > point).any() for other in points)
        assert mask[i] == (not beaten)


def unit_cubes(points: np.ndarray) -> int:
    """Volume of whole-numbered points by counting the cubes they cover."""
    cells = np.stack(np.meshgrid(*[np.arange(4)] * points.shape[1], indexing="ij"), -1)
    cells = cells.reshape(-1, points.shape[1])
    return sum(any((cell < point).all() for point in points) for cell in cells)


@settings(max_examples=60, deadline=None)
@given(POINTS)
def test_hypervolume_counts_what_the_points_cover(points):
    assert hypervolume(points, np.zeros(points.shape[1])) == pytest.approx(unit_cubes(points))


@pytest.mark.parametrize("m", [2, 3, 4, 5])
def test_hypervolume_agrees_with_chance(m):
    rng = np.random.default_rng(m)
    points, probes = rng.random((12, m)), rng.random((50_000, m))
    covered = (probes[:, None] < points[None]).all(axis=2).any(axis=1).mean()
    assert hypervolume(points, np.zeros(m)) == pytest.approx(covered, abs=0.01)


def test_hypervolume_leaves_out_what_is_worse_than_the_reference():
    assert hypervolume([[2, 2], [3, -1], [-1, 9]], [0, 0]) == 4.0
    assert hypervolume([], [0, 0]) == 0.0
    with pytest.raises(OptionError, match="2 coordinates"):
        hypervolume([[1, 2]], [0, 0, 0])


def test_fronts_are_peeled_one_after_the_other():
    points = [[3, 1], [1, 3], [1, 1], [0, 0], [2, 2]]
    assert front_ranks(points).tolist() == [0, 0, 1, 2, 0]


def test_equal_points_share_a_front_and_nan_is_never_on_it():
    assert non_dominated([[1, 1], [1, 1], [np.nan, 9]]).tolist() == [True, True, False]


def test_crowding_is_the_gap_to_both_neighbours_and_endless_at_the_ends():
    distance = crowding_distance([[0, 10], [1, 6], [4, 5], [10, 0]])
    assert distance.tolist() == [np.inf, pytest.approx(0.4 + 0.5), pytest.approx(0.9 + 0.6), np.inf]
    assert crowding_distance(np.empty((0, 2))).tolist() == []


def test_reference_lies_below_all_points():
    assert reference_of([[0, 5], [10, 5]]).tolist() == [-1.0, 4.5]
