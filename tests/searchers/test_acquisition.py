from __future__ import annotations

import numpy as np
import pytest

from autodl.searchers.acquisition import ACQUISITIONS, XI, expected_improvement, hedge_probabilities

MEAN = np.array([0.0, 0.0, 1.0, -1.0])
STD = np.array([1.0, 2.0, 1.0, 1.0])


@pytest.mark.parametrize("name", ACQUISITIONS)
def test_lower_mean_is_better_and_so_is_more_spread_where_the_mean_is_no_better(name):
    values = ACQUISITIONS[name](MEAN, STD, -0.5)
    assert values[3] > values[0] > values[2]
    assert values[1] > values[0]


@pytest.mark.parametrize("name", ACQUISITIONS)
def test_certain_points_give_numbers(name):
    values = ACQUISITIONS[name](MEAN, np.zeros(4), -0.5)
    assert np.isfinite(values).all()
    assert values.argmax() == 3


def test_expected_improvement_is_the_mean_of_the_improvements():
    draws = np.random.default_rng(0).normal(0.3, 0.8, 200_000)
    expected = np.maximum(0.1 - XI - draws, 0).mean()
    assert expected_improvement(np.array([0.3]), np.array([0.8]), 0.1)[0] == pytest.approx(expected, rel=0.02)


def test_hedge_prefers_gains_and_survives_large_ones():
    chances = hedge_probabilities(np.array([1000.0, 999.0, -1000.0]))
    assert chances == pytest.approx([0.7311, 0.2689, 0.0], abs=1e-4)
