from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodl.errors import OptionError
from autodl.schedulers.rungs import (
    bracket_of,
    check_rungs,
    goes_on,
    rung_levels,
    rung_reached,
    survivors,
)

factors = st.one_of(st.integers(2, 10), st.floats(1.01, 20, allow_nan=False))


@pytest.mark.parametrize(
    ("max_resource", "grace_period", "factor", "expected"),
    [
        (256, 1, 4, (1, 4, 16, 64)),  # r, R, eta of Li et al. 2020, section 4.2
        (81, 1, 3, (1, 3, 9, 27)),  # Li et al. 2018, table 1
        (80, 1, 3, (1, 3, 9, 27)),  # R need not be a power of eta
        (9, 9, 3, ()),
        (1, 1, 2, ()),
        (10, 4, 100, (4,)),
        (10, 1, 1.5, (1, 2, 3, 4, 5, 8)),  # 1, 1.5, 2.25, 3.375, 5.06, 7.59: never twice the same
    ],
)
def test_known_levels(max_resource, grace_period, factor, expected):
    assert rung_levels(max_resource, grace_period, factor) == expected


@given(st.integers(1, 500), st.integers(1, 500), factors, st.integers(0, 4))
def test_levels_rise_strictly_from_the_grace_period_and_stay_below_the_maximum(high, grace, factor, bracket):
    levels = rung_levels(high, grace, factor, bracket)
    assert all(a < b for a, b in pairwise(levels))
    assert all(grace <= level < high for level in levels)
    assert levels == rung_levels(high, grace, factor)[bracket:]
    if bracket == 0 and grace < high:
        assert levels[0] == grace


@given(st.lists(st.integers(1, 100), unique=True).map(sorted), st.integers(0, 120))
def test_rung_reached_is_the_highest_level_not_above_the_resource(levels, resource):
    below = [i for i, level in enumerate(levels) if level <= resource]
    assert rung_reached(levels, resource) == (below[-1] if below else None)


@given(st.integers(1, 300), factors)
def test_survivors_are_one_in_eta_and_at_least_one(count, factor):
    kept = survivors(count, factor)
    assert 1 <= kept <= count
    assert count / factor - 1 < kept <= count / factor + 1


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=60, unique=True), factors)
def test_last_arrival_goes_on_exactly_when_it_reaches_the_quantile(scores, factor):
    """numpy's linear quantile is an independent statement of the same rule."""
    better = sum(score > scores[-1] for score in scores[:-1])
    cutoff = np.quantile(scores, 1 - 1 / factor)
    if abs(scores[-1] - cutoff) > 1e-6:  # equal but for rounding: either answer is right
        assert goes_on(better, 0, len(scores), factor) == (scores[-1] > cutoff)


@given(factors, st.lists(st.integers(0, 5), min_size=1, max_size=5), st.integers(0, 10**6))
def test_bracket_is_one_of_the_brackets(factor, counts, trial_id):
    assert 0 <= bracket_of(trial_id, factor, counts) < len(counts)


def test_brackets_get_trials_in_hyperbands_proportion():
    shares = [3**4 / 5, 3**3 / 4, 3**2 / 3]
    drawn = [bracket_of(trial_id, 3, [4, 3, 2]) for trial_id in range(300)]
    for bracket, share in enumerate(shares):
        assert drawn.count(bracket) == pytest.approx(300 * share / math.fsum(shares), abs=3)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((0, 1, 3), "max_resource"),
        ((2.5, 1, 3), "max_resource"),
        ((9, 0, 3), "grace_period"),
        ((9, True, 3), "grace_period"),
        ((9, 10, 3), "grace_period"),
        ((9, 1, 1), "reduction_factor"),
        ((9, 1, math.nan), "reduction_factor"),
        ((9, 1, math.inf), "reduction_factor"),
        ((9, 1, "3"), "reduction_factor"),
        ((9, 1, 3, 0), "brackets"),
        ((9, 1, 3, 4), "brackets must be at most 3"),
    ],
)
def test_bad_numbers_are_refused_by_name(arguments, named):
    with pytest.raises(OptionError, match=named):
        check_rungs(*arguments)


def test_last_bracket_may_have_no_rung():
    check_rungs(9, 1, 3, 3)
    assert rung_levels(9, 1, 3, 2) == ()
