from __future__ import annotations

import numpy as np
import pytest

from autodl.errors import OptionError
from autodl.searchers.quasirandom import SobolPoints
from autodl.searchers.random_search import RandomSearcher
from autodl.searchers.sobol import SobolSearcher
from autodl.spaces import Bool, Categorical, Int, Real, SearchSpace
from autodl.testing.searchers import SPACES, SearcherContract, search, smooth

SQUARE = SearchSpace({"x": Real(0, 1), "y": Real(0, 1)})


class TestSobol(SearcherContract):
    def make(self) -> SobolSearcher:
        return SobolSearcher()


def proposed(space, num_trials, seed=0):
    return search(SobolSearcher(), space, smooth, num_trials=num_trials, seed=seed).configs


def test_each_part_of_a_range_gets_one_trial():
    configs = proposed(SQUARE, 64)
    for label in "xy":
        assert sorted(int(c[label] * 64) for c in configs) == list(range(64))
    assert len({(int(c["x"] * 8), int(c["y"] * 8)) for c in configs}) == 64  # each cell of 8 by 8


def test_holes_are_smaller_than_random_searchs():
    grid = np.stack(np.meshgrid(np.linspace(0, 1, 33), np.linspace(0, 1, 33)), -1).reshape(-1, 2)

    def hole(make, seed):
        configs = search(make(), SQUARE, smooth, num_trials=64, seed=seed).configs
        points = np.array([list(c.values()) for c in configs])
        return np.linalg.norm(grid[:, None] - points[None], axis=2).min(axis=1).max()

    assert max(hole(SobolSearcher, s) for s in range(5)) < min(hole(RandomSearcher, s) for s in range(5))


def test_a_trials_config_depends_on_seed_and_trial_alone():
    searcher = SobolSearcher()
    searcher.bind(SPACES["conditional"], seed=3)
    shuffled = {i: searcher.suggest(i) for i in (5, 0, 3, 1, 4, 2)}
    assert [shuffled[i] for i in range(6)] == proposed(SPACES["conditional"], 6, seed=3)
    assert proposed(SQUARE, 3, seed=0) != proposed(SQUARE, 3, seed=1)


def test_any_point_of_the_sequence_is_the_same_whatever_was_asked_before():
    forward, backward = SobolPoints(4, seed=9), SobolPoints(4, seed=9)
    points = [forward.point(i) for i in range(20)]
    assert all(np.array_equal(backward.point(i), points[i]) for i in reversed(range(20)))
    assert np.array_equal(forward.point(7), points[7])


def test_more_columns_than_scipy_knows_are_drawn_at_random():
    assert SobolPoints(30_000, seed=0).point(0) is None
    assert SobolPoints(0, seed=0).point(0) is None


def test_finite_space_is_covered_then_used_up():
    space = SearchSpace({"a": Int(1, 6), "b": Bool(), "c": Categorical("x", "y", "z")})
    searched = search(SobolSearcher(), space, smooth, num_trials=99)
    assert len({tuple(c.values()) for c in searched.configs}) == len(searched.configs) == 36
    assert searched.is_used_up


def test_skipped_configs_are_not_proposed():
    searcher = SobolSearcher()
    searcher.bind(SearchSpace({"a": Int(1, 3)}), seed=0)
    searcher.skip([{"a": 1}, {"a": 3}])
    assert [searcher.suggest(0), searcher.suggest(1)] == [{"a": 2}, None]


def test_suggest_before_bind_says_so():
    with pytest.raises(OptionError, match=r"SobolSearcher\(\) knows no space yet: call bind"):
        SobolSearcher().suggest(0)
