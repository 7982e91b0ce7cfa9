from __future__ import annotations

import pytest

from autodl.errors import OptionError
from autodl.rng import trial_rng
from autodl.searchers.random_search import RandomSearcher
from autodl.spaces import Int, Real, SearchSpace
from autodl.testing.searchers import SPACES, SearcherContract, search, smooth


class TestRandom(SearcherContract):
    def make(self) -> RandomSearcher:
        return RandomSearcher()


def test_a_trials_config_depends_on_seed_and_trial_alone():
    searcher, space = RandomSearcher(), SPACES["conditional"]
    searcher.bind(space, seed=3)
    assert [searcher.suggest(i) for i in (5, 0)] == [space.sample(trial_rng(3, i)) for i in (5, 0)]


def test_workers_and_reports_change_nothing():
    one, four = (
        search(RandomSearcher(), SPACES["finite"], smooth, num_trials=6, num_workers=n).configs
        for n in (1, 4)
    )
    assert one == four


def test_finite_space_is_covered_then_used_up():
    searched = search(RandomSearcher(), SearchSpace({"a": Int(1, 40)}), smooth, num_trials=99)
    assert sorted(c["a"] for c in searched.configs) == list(range(1, 41))
    assert searched.is_used_up


def test_skipped_configs_are_not_proposed():
    searcher = RandomSearcher()
    searcher.bind(SearchSpace({"a": Int(1, 3)}), seed=0)
    searcher.skip([{"a": 1}, {"a": 3}])
    assert [searcher.suggest(0), searcher.suggest(1)] == [{"a": 2}, None]


def test_other_seed_gives_other_configs():
    space = SearchSpace({"a": Real(0, 1)})
    assert search(RandomSearcher(), space, smooth, num_trials=3, seed=0) != search(
        RandomSearcher(), space, smooth, num_trials=3, seed=1
    )


def test_suggest_before_bind_says_so():
    with pytest.raises(OptionError, match=r"RandomSearcher\(\) knows no space yet: call bind"):
        RandomSearcher().suggest(0)
