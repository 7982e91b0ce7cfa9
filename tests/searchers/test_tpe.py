from __future__ import annotations

import math
import time

import numpy as np
import pytest

from autodl.errors import OptionError
from autodl.searchers.random_search import RandomSearcher
from autodl.searchers.sobol import SobolSearcher
from autodl.searchers.tpe import TPESearcher
from autodl.searchers.unseen import config_key
from autodl.spaces import Bool, Categorical, Dict, Int, Real, SearchSpace
from autodl.testing.searchers import SPACES, SearcherContract, search, smooth
from autodl.trial import Report, TrialState


class TestJoint(SearcherContract):
    def make(self) -> TPESearcher:
        return TPESearcher(num_initial=4, multivariate=True)


class TestColumnByColumn(SearcherContract):
    def make(self) -> TPESearcher:
        return TPESearcher(num_initial=4, multivariate=False)


BOX = SearchSpace({f"x{i}": Real(-5, 5) for i in range(5)})
CONDITIONAL = SearchSpace(
    {
        "lr": Real(1e-4, 1, log=True),
        "net": Categorical(
            {"mlp": Dict(width=Int(1, 64, log=True)), "conv": Dict(drop=Real(0, 1)), "off": 0, "none": 1}
        ),
        "flip": Bool(),
    }
)


def bowl(config):
    """Turned, best at 1.5 everywhere."""
    x = np.array([config[label] for label in BOX.labels]) - 1.5
    return -float((x**2).sum() + x.sum() ** 2)


def planted(config):
    """Best at conv, drop 0.7, lr 0.01 (score 1); at most 0.7 elsewhere."""
    score = -0.2 * abs(math.log10(config["lr"]) + 2) - 0.2 * config["flip"]
    if config["net"] == "conv":
        return 1 + score - (config["net/conv/drop"] - 0.7) ** 2
    if config["net"] == "mlp":
        return 0.7 + score - 0.05 * abs(math.log2(config["net/mlp/width"]) - 4)
    return 0.3


def bests(make, space, objective, num_trials, seeds=5, num_workers=1):
    runs = [
        search(make(), space, objective, num_trials=num_trials, num_workers=num_workers, seed=seed)
        for seed in range(seeds)
    ]
    return [run.best for run in runs]


@pytest.mark.parametrize("multivariate", [True, False])
@pytest.mark.parametrize("workers", [1, 5])
def test_finds_the_bottom_of_a_bowl(multivariate, workers):
    found = bests(lambda: TPESearcher(multivariate=multivariate), BOX, bowl, 80, num_workers=workers)
    chance = bests(RandomSearcher, BOX, bowl, 80, seeds=20)
    assert np.median(found) > max(chance)
    assert np.median(found) > np.median(chance) / 3


@pytest.mark.parametrize("multivariate", [True, False])
@pytest.mark.parametrize("workers", [1, 5])
def test_finds_the_branch_and_its_optimum(multivariate, workers):
    found = bests(
        lambda: TPESearcher(multivariate=multivariate), CONDITIONAL, planted, 60, num_workers=workers
    )
    chance = bests(RandomSearcher, CONDITIONAL, planted, 60, seeds=20)
    assert np.median(found) > 0.97 > np.median(chance)


@pytest.mark.parametrize("multivariate", [True, False])
def test_finds_the_best_of_many_choices(multivariate):
    space = SearchSpace({f"op{i}": Categorical("a", "b", "c", "d") for i in range(6)})
    wanted = dict(zip(space.labels, "badcab", strict=True))

    def matches(config):
        return sum(config[label] == choice for label, choice in wanted.items())

    found = bests(lambda: TPESearcher(multivariate=multivariate), space, matches, 100)
    assert np.median(found) == 6  # of 4096 configs
    assert np.median(bests(RandomSearcher, space, matches, 100)) < 6


def test_keeps_away_from_where_trials_fail():
    space = SearchSpace({"x": Real(0, 1), "y": Real(0, 1)})
    searched = search(
        TPESearcher(),
        space,
        lambda c: None if c["x"] > 0.5 else 1 - abs(c["x"] - 0.3) - c["y"],
        num_trials=50,
    )
    assert sum(score is None for score in searched.scores[10:]) <= 8  # half of the space fails
    assert searched.best > 0.9


def test_running_trials_count_among_the_others():
    searcher, space = TPESearcher(), SearchSpace({"x": Real(0, 1), "y": Real(0, 1)})
    search(searcher, space, lambda c: -abs(c["x"] - 0.3) - abs(c["y"] - 0.6), num_trials=40)
    here, everywhere = np.array([[0.3, 0.6]]), np.ones((1, 2), dtype=bool)
    before = searcher._split()[1].log_density(here, everywhere)
    for trial_id in range(40, 55):
        searcher.observe(Report(trial_id, {"x": 0.3, "y": 0.6}, TrialState.RUNNING, 1, None, None))
    good, others = searcher._split()
    assert others.log_density(here, everywhere) > before + 3
    assert len(good.rows) == 6  # a tenth of 55, rounded up
    assert len(others.rows) == 49


def test_learns_from_short_trials_until_enough_have_completed():
    """Eight in ten trials are stopped at resource 1, as a halving scheduler would."""
    searcher, space = TPESearcher(num_initial=10), SearchSpace({"x": Real(0, 1)})
    searcher.bind(space, seed=0)
    for trial_id in range(40):
        config = searcher.suggest(trial_id)
        score = -abs(config["x"] - 0.8)
        searcher.observe(Report(trial_id, config, TrialState.RUNNING, 1, score, score))
        searcher.observe(Report(trial_id, config, TrialState.STOPPED, 1, score, score))
    assert np.median([abs(searcher.suggest(i)["x"] - 0.8) for i in range(40, 50)]) < 0.1


def test_completed_trials_outrank_short_ones():
    """Short trials mislead: their scores say 0.2 where the completed ones say 0.8."""
    searcher, space, rng = (
        TPESearcher(num_initial=10),
        SearchSpace({"x": Real(0, 1)}),
        np.random.default_rng(0),
    )
    searcher.bind(space, seed=0)
    for trial_id in range(80):
        x = float(rng.random())
        early, late = 1 - abs(x - 0.2), -abs(x - 0.8)
        searcher.observe(Report(trial_id, {"x": x}, TrialState.RUNNING, 1, early, early))
        if trial_id % 4 == 0:
            searcher.observe(Report(trial_id, {"x": x}, TrialState.RUNNING, 9, late, late))
            searcher.observe(Report(trial_id, {"x": x}, TrialState.COMPLETED, 9, late, late))
        else:
            searcher.observe(Report(trial_id, {"x": x}, TrialState.STOPPED, 1, early, early))
    assert np.median([abs(searcher.suggest(i)["x"] - 0.8) for i in range(80, 90)]) < 0.15


def test_first_trials_are_the_sobol_sequence():
    first = search(TPESearcher(num_initial=8), BOX, bowl, num_trials=8, seed=4).configs
    assert first == search(SobolSearcher(), BOX, bowl, num_trials=8, seed=4).configs


@pytest.mark.parametrize("multivariate", [True, False])
def test_finite_space_is_proposed_once_each_best_first(multivariate):
    space = SearchSpace({"a": Int(0, 29), "b": Bool()})
    searched = search(
        TPESearcher(multivariate=multivariate), space, lambda c: -abs(c["a"] - 17) + c["b"], num_trials=99
    )
    assert len({config_key(c) for c in searched.configs}) == len(searched.configs) == 60
    assert searched.is_used_up
    assert searched.configs.index({"a": 17, "b": True}) < 30


def test_proposals_do_not_depend_on_the_order_of_the_reports():
    def next_proposal(order):
        searcher = TPESearcher()
        searcher.bind(CONDITIONAL, seed=5)
        configs = [searcher.suggest(i) for i in range(12)]
        for i in order:
            score = planted(configs[i])
            searcher.observe(Report(i, configs[i], TrialState.COMPLETED, 1, score, score))
        return searcher.suggest(12)

    assert next_proposal(range(12)) == next_proposal([3, 11, 9, 0, 1, 8, 2, 10, 7, 5, 6, 4])


def test_cost_of_a_proposal():
    searcher, rng = TPESearcher(), np.random.default_rng(0)
    searcher.bind(CONDITIONAL, seed=0)
    for trial_id in range(1000):
        config = CONDITIONAL.sample(rng)
        score = planted(config)
        searcher.observe(Report(trial_id, config, TrialState.COMPLETED, 1, score, score))
    searcher.suggest(1000)  # imports scipy
    started = time.process_time()
    for trial_id in range(1001, 1006):
        searcher.suggest(trial_id)
    assert time.process_time() - started < 1  # about 0.05 s alone


@pytest.mark.parametrize("wrong", [{"num_initial": 0}, {"num_initial": 2.5}, {"num_candidates": True}])
def test_wrong_options_are_refused(wrong):
    with pytest.raises(OptionError, match=next(iter(wrong))):
        TPESearcher(**wrong)


def test_suggest_before_bind_says_so():
    with pytest.raises(OptionError, match=r"TPESearcher\(.*\) knows no space yet: call bind"):
        TPESearcher().suggest(0)


def test_skipped_configs_are_not_proposed():
    searcher = TPESearcher(num_initial=1)
    searcher.bind(SearchSpace({"a": Int(1, 3)}), seed=0)
    searcher.skip([{"a": 1}, {"a": 3}])
    assert [searcher.suggest(0), searcher.suggest(1)] == [{"a": 2}, None]


def test_space_of_constants_is_one_config():
    assert len(search(TPESearcher(), SPACES["constants only"], smooth, num_trials=5).configs) == 1
