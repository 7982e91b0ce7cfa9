from __future__ import annotations

import math

import numpy as np
import pytest

from autodl.errors import OptionError
from autodl.searchers.cma import CMA
from autodl.searchers.cmaes import CMAESSearcher
from autodl.searchers.random_search import RandomSearcher
from autodl.searchers.unseen import config_key
from autodl.spaces import Bool, Categorical, Dict, Int, Real, SearchSpace
from autodl.testing.searchers import SPACES, SearcherContract, search, smooth
from autodl.trial import Report, TrialState


class TestCMAES(SearcherContract):
    def make(self) -> CMAESSearcher:
        return CMAESSearcher()


class TestSmallPopulation(SearcherContract):
    num_trials = 40

    def make(self) -> CMAESSearcher:
        return CMAESSearcher(population=4)


BOX = SearchSpace({f"x{i}": Real(-5, 5) for i in range(10)})
SHIFT = np.random.default_rng(1).uniform(-3, 3, 10)
ROTATION = np.linalg.qr(np.random.default_rng(2).normal(size=(10, 10)))[0]


def ellipsoid(config, condition=1e4):
    """Turned, so that no parameter can be set on its own."""
    x = ROTATION @ (np.array([config[label] for label in BOX.labels]) - SHIFT)
    return -float((condition ** np.linspace(0, 1, 10) * x**2).sum())


def best_of(make, space, objective, num_trials, seeds=3, num_workers=1):
    runs = [
        search(make(), space, objective, num_trials=num_trials, num_workers=num_workers, seed=seed)
        for seed in range(seeds)
    ]
    return [run.best for run in runs]


@pytest.mark.parametrize("workers", [1, 7])
def test_solves_a_turned_ellipsoid_in_ten_dimensions(workers):
    """The curvatures span four decades; the first scores are about -1e5."""
    assert min(best_of(CMAESSearcher, BOX, ellipsoid, 5000, seeds=1, num_workers=workers)) > -1e-6


def test_beats_random_on_few_trials():
    assert min(best_of(CMAESSearcher, BOX, ellipsoid, 150)) > max(
        best_of(RandomSearcher, BOX, ellipsoid, 150)
    )


def test_finds_the_branch_integers_and_choices():
    space = SearchSpace(
        {
            "net": Categorical(
                {"mlp": Dict(width=Int(1, 64, log=True)), "conv": Dict(drop=Real(0, 1)), "off": 0}
            ),
            "depth": Int(1, 9),
            "flip": Bool(),
        }
    )

    def planted(config):
        if config["net"] != "conv":
            return 0.3
        return 1 - abs(config["net/conv/drop"] - 0.7) - 0.1 * abs(config["depth"] - 7) - 0.2 * config["flip"]

    assert np.median(best_of(CMAESSearcher, space, planted, 200, seeds=5)) > 0.99


def test_one_parameter():
    space = SearchSpace({"x": Real(1e-6, 1, log=True)})
    assert min(best_of(CMAESSearcher, space, lambda c: -abs(math.log10(c["x"]) + 4.2), 80)) > -2e-3


def test_starts_anew_with_twice_the_population_and_leaves_a_local_optimum():
    """Most of the range leads to the wrong optimum."""
    space = SearchSpace({"x": Real(0, 1), "y": Real(0, 1)})

    def two_hills(config):
        far = math.hypot(config["x"] - 0.95, config["y"] - 0.95)
        return max(1 - 4 * far, -0.1 - math.hypot(config["x"] - 0.4, config["y"] - 0.4))

    searcher = CMAESSearcher()
    best = search(searcher, space, two_hills, num_trials=1500, seed=1).best
    assert searcher._restarts >= 1
    assert searcher._cma.population == 6 * 2**searcher._restarts
    assert best > 0.9


def test_a_plateau_is_left():
    searcher = CMAESSearcher(population=4)
    search(searcher, BOX, lambda config: 0.5, num_trials=41)
    assert searcher._restarts == 1


def test_proposals_depend_on_which_trials_ended_not_on_their_order():
    def next_proposal(order):
        searcher = CMAESSearcher()
        searcher.bind(BOX, seed=5)
        configs = [searcher.suggest(i) for i in range(10)]
        for i in order:
            score = ellipsoid(configs[i])
            searcher.observe(Report(i, configs[i], TrialState.COMPLETED, 1, score, score))
        return searcher.suggest(10)

    assert next_proposal(range(10)) == next_proposal([3, 9, 0, 1, 8, 2, 7, 5, 6, 4])


def test_workers_do_not_wait_for_a_straggler():
    searcher = CMAESSearcher()
    searcher.bind(BOX, seed=0)
    for i in range(31):
        config = searcher.suggest(i)
        assert config is not None
        if i:  # trial 0 never ends
            score = ellipsoid(config)
            searcher.observe(Report(i, config, TrialState.COMPLETED, 1, score, score))
    assert searcher._cma.generation == 3


def test_failed_trials_are_the_worst():
    space = SearchSpace({"x": Real(0, 1), "y": Real(0, 1)})
    searched = search(
        CMAESSearcher(), space, lambda c: None if c["x"] > 0.5 else c["x"] - abs(c["y"] - 0.2), num_trials=150
    )
    assert searched.best > 0.45
    assert sum(score is None for score in searched.scores[-50:]) < 40


def test_earlier_trials_pull_the_distribution():
    searcher = CMAESSearcher()
    searcher.bind(BOX, seed=0)
    rng = np.random.default_rng(0)
    target = np.full(10, 2.5)
    for i in range(100):
        values = np.clip(target + rng.normal(size=10), -5, 5)
        config = dict(zip(BOX.labels, values.tolist(), strict=True))
        score = -float(np.abs(values - target).sum())
        searcher.observe(Report(i, config, TrialState.COMPLETED, 1, score, score))
    proposals = np.array([list(searcher.suggest(100 + i).values()) for i in range(20)])
    assert np.abs(proposals.mean(axis=0) - target).mean() < 1


def test_finite_space_is_proposed_once_each_then_used_up():
    space = SearchSpace({"a": Int(0, 9), "b": Bool()})
    searched = search(CMAESSearcher(), space, smooth, num_trials=99)
    assert len({config_key(c) for c in searched.configs}) == len(searched.configs) == 20
    assert searched.is_used_up


def test_an_integer_goes_on_changing_when_the_steps_are_far_smaller_than_its_bins():
    space = SearchSpace({"n": Int(1, 3), "kind": Categorical("a", "b", "c", "d"), "x": Real(0, 1)})
    searcher = CMAESSearcher(population=4, sigma=1e-6)
    configs = search(searcher, space, lambda c: 0.0, num_trials=39).configs  # before the restart
    assert len({c["n"] for c in configs}) > 1
    assert len({c["kind"] for c in configs}) > 2


def test_more_columns_than_a_full_covariance_is_learned_for():
    dim = 300
    cma = CMA(np.full(dim, 0.5), 0.2, 20)
    rng = np.random.default_rng(0)
    for _ in range(700):
        points = cma.sample(rng, 20)
        cma.update(points, ((points - 0.3) ** 2).sum(axis=1))
    assert np.abs(cma.mean - 0.3).max() < 0.05


def test_update_is_hansens_arithmetic_in_one_dimension():
    """With lambda = 4 two are chosen, by ln 2.5 and ln 1.25; the mean moves by their weighted step."""
    cma = CMA(np.array([0.5]), 0.1, 4)
    cma.update(np.array([[0.45], [0.55], [0.4], [0.6]]), np.array([1.0, 0.0, 2.0, 3.0]))
    first, second = math.log(2.5), math.log(1.25)
    assert cma.mean[0] == pytest.approx((first * 0.55 + second * 0.45) / (first + second))


def test_an_outlier_moves_the_mean_no_further_than_a_long_sample():
    cma = CMA(np.full(4, 0.5), 0.01, 8)
    points = np.full((8, 4), 0.5)
    points[0] = 1.0
    cma.update(points, np.arange(8.0))
    assert np.linalg.norm(cma.mean - 0.5) < 0.01 * (2 + 8 / 6)


@pytest.mark.parametrize(
    "wrong", [{"population": 3}, {"population": 8.0}, {"population": True}, {"sigma": 0}, {"sigma": 2}]
)
def test_wrong_options_are_refused(wrong):
    with pytest.raises(OptionError, match=next(iter(wrong))):
        CMAESSearcher(**wrong)


def test_suggest_before_bind_says_so():
    with pytest.raises(OptionError, match=r"CMAESSearcher\(.*\) knows no space yet: call bind"):
        CMAESSearcher().suggest(0)


def test_space_of_constants_is_one_config():
    assert len(search(CMAESSearcher(), SPACES["constants only"], smooth, num_trials=5).configs) == 1
