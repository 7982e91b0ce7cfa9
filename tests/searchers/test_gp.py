from __future__ import annotations

import math
import time

import numpy as np
import pytest

from autodl.errors import OptionError
from autodl.searchers import get_searcher
from autodl.searchers.gp import GPSearcher
from autodl.searchers.gp_features import GPFeatures, is_ordered
from autodl.searchers.gp_targets import gp_targets
from autodl.searchers.random_search import RandomSearcher
from autodl.searchers.unseen import config_key
from autodl.spaces import Bool, Categorical, Dict, Int, Real, SearchSpace
from autodl.testing.searchers import SearcherContract, search
from autodl.trial import Report, TrialState


class TestGP(SearcherContract):
    num_trials = 9

    def make(self) -> GPSearcher:
        return GPSearcher(num_initial=4)


SQUARE = SearchSpace({"x": Real(0, 1), "y": Real(0, 1)})
BRANCHES = {"mlp": Dict(width=Int(1, 64, log=True)), "conv": Dict(drop=Real(0, 1)), "off": 0}
CONDITIONAL = SearchSpace({"lr": Real(1e-4, 1, log=True), "net": Categorical(BRANCHES)})


def bowl(config):
    return -((config["x"] - 0.3) ** 2) - (config["y"] - 0.8) ** 2


def planted(config):
    """Best at conv, drop 0.7, lr 0.01 (score 1); at most 0.7 elsewhere."""
    if config["net"] == "conv":
        return 1 - (config["net/conv/drop"] - 0.7) ** 2 - 0.2 * abs(math.log10(config["lr"]) + 2)
    if config["net"] == "mlp":
        return 0.7 - 0.05 * abs(math.log2(config["net/mlp/width"]) - 4)
    return 0.3


def test_is_what_the_name_stands_for():
    assert repr(get_searcher("gp")) == "GPSearcher(num_initial=None)"


@pytest.mark.parametrize("wrong", [{"num_initial": 0}, {"num_initial": True}, {"max_observations": 1}])
def test_refuses_numbers_that_make_no_sense(wrong):
    with pytest.raises(OptionError, match=next(iter(wrong))):
        GPSearcher(**wrong)


@pytest.mark.parametrize("workers", [1, 4])
def test_finds_the_bottom_of_a_bowl(workers):
    bests = [
        search(GPSearcher(), SQUARE, bowl, num_trials=20, num_workers=workers, seed=s).best for s in range(3)
    ]
    assert np.median(bests) > -1e-4


@pytest.mark.parametrize("workers", [1, 4])
def test_finds_the_branch_and_its_optimum(workers):
    bests = [
        search(GPSearcher(), CONDITIONAL, planted, num_trials=28, num_workers=workers, seed=s).best
        for s in range(5)
    ]
    assert np.median(bests) > 0.98
    chance = [search(RandomSearcher(), CONDITIONAL, planted, num_trials=28, seed=s).best for s in range(40)]
    assert np.median(bests) > np.quantile(chance, 0.8)


def test_finds_the_best_of_many_choices():
    space = SearchSpace({f"op{i}": Categorical("a", "b", "c", "d") for i in range(6)})
    wanted = dict(zip(space.labels, "badcab", strict=True))

    def matches(config):
        return sum(config[label] == choice for label, choice in wanted.items())

    bests = [search(GPSearcher(), space, matches, num_trials=35, seed=s).best for s in range(3)]
    assert np.median(bests) == 6  # of 4096 configs


def test_tries_every_config_of_a_small_grid_once_and_then_ends():
    space = SearchSpace({"a": Int(1, 5), "b": Categorical("x", "y"), "c": Bool()})
    searched = search(GPSearcher(), space, lambda c: c["a"], num_trials=50, num_workers=3)
    assert len({config_key(config) for config in searched.configs}) == len(searched.configs) == 20
    assert searched.is_used_up


def test_repeats_nothing_in_a_grid_too_large_to_list():
    space = SearchSpace({f"x{i}": Categorical(0.1, 0.2, 0.4, 0.8) for i in range(6)})
    searched = search(GPSearcher(), space, lambda c: -sum(c.values()), num_trials=30)
    assert len({config_key(config) for config in searched.configs}) == 30
    assert searched.best == pytest.approx(-0.6)


def test_keeps_away_from_where_trials_fail():
    searched = search(
        GPSearcher(), SQUARE, lambda c: None if c["x"] > 0.5 else c["y"] - abs(c["x"] - 0.3), num_trials=24
    )
    assert sum(score is None for score in searched.scores[8:]) <= 5  # half of the space fails
    assert searched.best > 0.95


def test_pending_trials_are_spread_out():
    """Six workers ask before any of the six reports: they are not sent to one place."""
    searcher = GPSearcher(num_initial=6)
    search(searcher, SQUARE, bowl, num_trials=10)
    points = np.array([list(searcher.suggest(trial_id).values()) for trial_id in range(10, 16)])
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)[np.triu_indices(6, 1)]
    assert apart.min() > 1e-3


def test_learns_from_trials_of_others_and_skips_what_it_is_told():
    searcher = GPSearcher(num_initial=4)
    searcher.bind(SQUARE, seed=0)
    rng = np.random.default_rng(0)
    for trial_id in range(12):
        config = SQUARE.sample(rng)
        score = bowl(config)
        searcher.observe(Report(trial_id, config, TrialState.COMPLETED, 1, score, score))
    assert bowl(searcher.suggest(12)) > -0.02

    finite = SearchSpace({"a": Int(1, 3)})
    searcher.bind(finite, seed=0)
    searcher.skip([{"a": 1}, {"a": 3}])
    assert [searcher.suggest(0), searcher.suggest(1)] == [{"a": 2}, None]


def test_measurements_on_the_way_are_not_learned_from():
    def proposal(early):
        searcher = GPSearcher(num_initial=3)
        searcher.bind(SQUARE, seed=0)
        for trial_id in range(4):
            config, score = searcher.suggest(trial_id), float(trial_id)
            if early:
                searcher.observe(Report(trial_id, config, TrialState.RUNNING, 1, 9.0, 9.0))
            searcher.observe(Report(trial_id, config, TrialState.COMPLETED, 2, score, score))
        return searcher.suggest(4)

    assert proposal(early=True) == proposal(early=False)


def test_two_hundred_trials_cost_little_each():
    """CPU time of the last ten of 200; the bound has room for a slow machine."""
    space = SearchSpace({f"x{i}": Real(0, 1) for i in range(10)})
    searcher, rng = GPSearcher(), np.random.default_rng(0)
    searcher.bind(space, seed=0)
    for trial_id in range(190):
        config = space.sample(rng)
        score = -sum(config.values())
        searcher.observe(Report(trial_id, config, TrialState.COMPLETED, 1, score, score))
    start = time.process_time()
    for trial_id in range(190, 200):
        config = searcher.suggest(trial_id)
        score = -sum(config.values())
        searcher.observe(Report(trial_id, config, TrialState.COMPLETED, 1, score, score))
    assert (time.process_time() - start) / 10 < 0.5


# Features


def test_one_parameter_under_several_choices_is_one_feature():
    def layers(count):
        return Dict(units=Int(4, 64)) if count > 1 else 0

    space = SearchSpace({"layers": Categorical({str(n): layers(n) for n in (1, 2, 3)}), "x": Real(0, 1)})
    features = GPFeatures(space)
    two = features.encode({"layers": "2", "layers/2/units": 64, "x": 0.25})
    three = features.encode({"layers": "3", "layers/3/units": 4, "x": 0.25})
    one = features.encode({"layers": "1", "x": 0.25})
    wide = features.widen(np.stack([one, two, three]))
    assert wide == pytest.approx(np.array([[0, 0.5, 0.25], [0.5, 1, 0.25], [1, 0, 0.25]]))


def test_choices_without_order_are_a_column_each_with_one_length_scale():
    space = SearchSpace({"act": Categorical("relu", "tanh", "gelu"), "on": Bool()})
    features = GPFeatures(space)
    assert features.groups.tolist() == [0, 0, 0, 1]
    rows = np.stack([features.encode({"act": act, "on": True}) for act in ("relu", "gelu")])
    assert features.widen(rows).tolist() == [[1, 0, 0, 1], [0, 0, 1, 1]]


@pytest.mark.parametrize(
    ("names", "ordered"),
    [((1, 2, 5), True), (("1", "2"), True), ((2, 1), False), (("a", "b"), False), ((None, 1), False)],
)
def test_choices_are_ordered_where_they_are_rising_numbers(names, ordered):
    assert is_ordered(names) == ordered


def test_steps_change_one_finite_column_to_each_other_value():
    features = GPFeatures(SearchSpace({"a": Categorical("x", "y", "z"), "b": Int(0, 3), "c": Real(0, 1)}))
    row = features.encode({"a": "y", "b": 0, "c": 0.5})
    configs = [features.decode(step) for step in features.steps(row, np.ones(3, dtype=bool))]
    assert [(c["a"], c["b"]) for c in configs] == [("x", 0), ("z", 0), ("y", 1), ("y", 2), ("y", 3)]


# Targets


def test_targets_keep_the_order_and_are_standardised():
    scores = [float(s) for s in -np.exp(np.random.default_rng(0).normal(size=40) * 2)]
    targets = gp_targets(scores)
    assert np.argmin(targets) == np.argmax(scores)
    assert targets.mean() == pytest.approx(0, abs=1e-9)
    assert targets.std() == pytest.approx(1)
    below = np.argsort(scores)[20:]  # the better half is not drawn in
    assert (np.diff(targets[below]) < 0).all()


def test_failed_trials_count_as_the_worst():
    targets = gp_targets([1.0, None, 3.0, 0.0, 2.0, 2.5])
    assert targets[1] == targets[3] == targets.max()


@pytest.mark.parametrize("scores", [[1.0], [2.0, 2.0, 2.0], [1e300, -1e300, 0.0], [0.1, None, 0.1, 0.1, 0.1]])
def test_targets_of_odd_scores_are_finite(scores):
    assert np.isfinite(gp_targets(scores)).all()


def test_a_diverged_trial_leaves_the_others_apart():
    scores = [-0.1, -0.2, -0.3, -0.4, -0.5, -1e9]
    assert np.ptp(gp_targets(scores)[:5]) > 0.5
