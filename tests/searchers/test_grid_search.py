from __future__ import annotations

import pytest

from autodl.errors import OptionError
from autodl.searchers.grid_search import GridSearcher
from autodl.searchers.unseen import config_key
from autodl.spaces import Bool, Categorical, Dict, Int, Real, SearchSpace
from autodl.testing.searchers import SearcherContract, search, smooth


class TestGrid(SearcherContract):
    def make(self) -> GridSearcher:
        return GridSearcher()


class TestShuffledGrid(SearcherContract):
    def make(self) -> GridSearcher:
        return GridSearcher(points_per_axis=4, shuffle=True)


def proposals(searcher, space, seed=0):
    return search(searcher, space, smooth, num_trials=10_000, seed=seed).configs


def test_every_combination_once_last_parameter_fastest():
    space = SearchSpace({"lr": Real(0.01, 1, log=True), "n": Int(1, 2), "flip": Bool()})
    configs = proposals(GridSearcher(points_per_axis=3), space)
    assert [tuple(c.values()) for c in configs] == [
        (lr, n, flip) for lr in (0.01, 0.1, 1.0) for n in (1, 2) for flip in (False, True)
    ]


def test_choices_bring_their_own_axes_only():
    space = SearchSpace({"net": Categorical({"mlp": Dict(width=Int(1, 100)), "linear": None}), "k": Bool()})
    configs = proposals(GridSearcher(points_per_axis={"net/mlp/width": 2}), space)
    assert [tuple(c.items()) for c in configs] == [
        (("net", "mlp"), ("net/mlp/width", 1), ("k", False)),
        (("net", "mlp"), ("net/mlp/width", 1), ("k", True)),
        (("net", "mlp"), ("net/mlp/width", 100), ("k", False)),
        (("net", "mlp"), ("net/mlp/width", 100), ("k", True)),
        (("net", "linear"), ("k", False)),
        (("net", "linear"), ("k", True)),
    ]


def test_single_point_is_the_default():
    space = SearchSpace({"lr": Real(0, 1, default=0.3), "n": Int(1, 9)})
    assert proposals(GridSearcher(points_per_axis=1), space) == [{"lr": 0.3, "n": 5}]


def test_shuffled_order_is_the_same_grid_and_depends_on_the_seed():
    space = SearchSpace({"a": Real(0, 1), "b": Int(1, 30)})
    plain = proposals(GridSearcher(4), space)
    shuffled = proposals(GridSearcher(4, shuffle=True), space, seed=1)
    assert sorted(map(config_key, shuffled)) == sorted(map(config_key, plain))
    assert shuffled != plain
    assert shuffled == proposals(GridSearcher(4, shuffle=True), space, seed=1)
    assert shuffled != proposals(GridSearcher(4, shuffle=True), space, seed=2)


def test_huge_grid_starts_at_once():
    space = SearchSpace({f"x{i}": Real(0, 1) for i in range(2000)})
    for shuffle in (False, True):
        searcher = GridSearcher(shuffle=shuffle)
        searcher.bind(space, seed=0)
        assert len(searcher.suggest(0)) == 2000


@pytest.mark.parametrize("shuffle", [False, True])
def test_skipped_configs_are_left_out_and_foreign_ones_ignored(shuffle):
    searcher = GridSearcher(shuffle=shuffle)
    searcher.bind(SearchSpace({"a": Int(1, 9)}), seed=0)  # points 1, 3, 5, 7, 9
    searcher.skip([{"a": 5}, {"a": 2}])
    left = [searcher.suggest(i) for i in range(5)]
    assert sorted(c["a"] for c in left[:4]) == [1, 3, 7, 9]
    assert left[4] is None


@pytest.mark.parametrize(
    ("points", "named"), [(0, "got 0"), (True, "got True"), ({"lr": 1.5}, "got 1.5 for 'lr'")]
)
def test_bad_counts_are_refused(points, named):
    with pytest.raises(OptionError, match=named):
        GridSearcher(points)


def test_unknown_label_lists_the_spaces():
    with pytest.raises(OptionError, match=r"names \['lrr'\], which the space lacks; it has \['lr'\]"):
        GridSearcher({"lrr": 3}).bind(SearchSpace({"lr": Real(0, 1)}), seed=0)
