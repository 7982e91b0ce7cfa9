from __future__ import annotations

import math
import subprocess
import sys
import time

import numpy as np
import pytest

from autodl.errors import OptionError, UnknownNameError
from autodl.searchers.bayesian import BayesianSearcher
from autodl.searchers.random_search import RandomSearcher
from autodl.searchers.surrogates import Surrogate
from autodl.searchers.unseen import config_key
from autodl.spaces import Bool, Categorical, Dict, Int, Real, SearchSpace
from autodl.testing.searchers import SearcherContract, search, smooth
from autodl.trial import Report, TrialState


class TestGPHedge(SearcherContract):
    num_trials = 7

    def make(self) -> BayesianSearcher:
        return BayesianSearcher(acquisition="gp_hedge", num_initial=4)


class TestRandomForest(SearcherContract):
    num_trials = 5

    def make(self) -> BayesianSearcher:
        return BayesianSearcher("RF", "EI", num_initial=3)


class TestExtraTrees(SearcherContract):
    num_trials = 5

    def make(self) -> BayesianSearcher:
        return BayesianSearcher("ET", "LCB", num_initial=3)


BRANIN = SearchSpace({"x": Real(-5, 10), "y": Real(0, 15)})


def branin(config):
    """Negated, so that 0 is best. Source: L. Dixon, G. Szego (1978)."""
    x, y = config["x"], config["y"]
    value = (y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6) ** 2
    value += 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10
    return 0.397887357729739 - value


MLP = Dict(width=Int(1, 64, log=True))
CONDITIONAL = SearchSpace(
    {
        "lr": Real(1e-4, 1, log=True),
        "net": Categorical(
            {"mlp": Dict(width=Int(1, 64, log=True)), "conv": Dict(drop=Real(0, 1)), "off": 0}
        ),
    }
)


def planted(config):
    """Best at conv, drop 0.7, lr 0.01 (score 1); at most 0.7 elsewhere."""
    if config["net"] == "conv":
        return 1 - (config["net/conv/drop"] - 0.7) ** 2 - 0.2 * abs(math.log10(config["lr"]) + 2)
    if config["net"] == "mlp":
        return 0.7 - 0.05 * abs(math.log2(config["net/mlp/width"]) - 4)
    return 0.3


def found(make, space, objective, num_trials, seeds=5, num_workers=1):
    """The best score of each seed."""
    runs = [
        search(make(), space, objective, num_trials=num_trials, num_workers=num_workers, seed=seed)
        for seed in range(seeds)
    ]
    return [run.best for run in runs]


@pytest.mark.parametrize("acquisition", ["gp_hedge", "EI", "LCB", "PI"])
def test_finds_the_minimum_of_branin_with_every_acquisition(acquisition):
    bests = found(
        lambda: BayesianSearcher(acquisition=acquisition, num_initial=8), BRANIN, branin, 24, seeds=3
    )
    chance = found(RandomSearcher, BRANIN, branin, 24, seeds=60)
    assert np.median(bests) > np.quantile(chance, 0.9)


@pytest.mark.parametrize("surrogate", ["RF", "ET"])
def test_forests_find_the_branch_and_its_optimum(surrogate):
    bests = found(lambda: BayesianSearcher(surrogate, "EI", num_initial=8), CONDITIONAL, planted, 20, seeds=3)
    chance = found(RandomSearcher, CONDITIONAL, planted, 20, seeds=60)
    assert np.median(bests) > np.median(chance)


def test_finds_the_branch_and_its_optimum_one_by_one_and_on_four_workers():
    chance = found(RandomSearcher, CONDITIONAL, planted, 24, seeds=60)
    for workers in (1, 4):
        bests = found(lambda: BayesianSearcher(num_initial=8), CONDITIONAL, planted, 24, 3, workers)
        assert np.median(bests) > 0.97
        assert np.median(bests) > np.quantile(chance, 0.8)


def test_finds_the_best_of_many_choices():
    space = SearchSpace({f"op{i}": Categorical("a", "b", "c", "d") for i in range(6)})
    wanted = dict(zip(space.labels, "badcab", strict=True))

    def matches(config):
        return sum(config[label] == choice for label, choice in wanted.items())

    bests = found(lambda: BayesianSearcher(num_initial=8), space, matches, 30, seeds=3)
    assert np.median(bests) == 6  # of 4096 configs
    assert np.median(found(RandomSearcher, space, matches, 30)) < 6


def test_keeps_away_from_where_trials_fail():
    space = SearchSpace({"x": Real(0, 1), "y": Real(0, 1)})
    searched = search(
        BayesianSearcher(num_initial=8),
        space,
        lambda c: None if c["x"] > 0.5 else 1 - abs(c["x"] - 0.3) - c["y"],
        num_trials=28,
    )
    later = searched.scores[8:]
    assert sum(score is None for score in later) <= 5  # half of the space fails
    assert searched.best > 0.9


def test_pending_trials_are_spread_out(monkeypatch):
    """Ten workers ask before any of the ten reports."""

    def median_distance():
        searcher, space = BayesianSearcher(num_initial=6), SearchSpace({"x": Real(0, 1), "y": Real(0, 1)})
        search(searcher, space, lambda c: -np.sin(9 * c["x"]) - np.cos(7 * c["y"]), num_trials=8)
        points = np.array([list(searcher.suggest(trial_id).values()) for trial_id in range(8, 18)])
        return np.median(np.linalg.norm(points[:, None] - points[None], axis=2)[np.triu_indices(10, 1)])

    spread = median_distance()
    monkeypatch.setattr(Surrogate, "believe", lambda self, features: None)
    assert spread > 10 * median_distance()


def test_measurements_on_the_way_are_not_learned_from():
    def proposal(early):
        searcher = BayesianSearcher(num_initial=3)
        searcher.bind(BRANIN, seed=0)
        for trial_id in range(4):
            config, score = searcher.suggest(trial_id), float(trial_id)
            for state, value in ((TrialState.RUNNING, early), (TrialState.COMPLETED, score)):
                searcher.observe(Report(trial_id, config, state, 1, value, value))
        return searcher.suggest(4)

    assert proposal(early=-5.0) == proposal(early=999.0)


@pytest.mark.parametrize("surrogate", ["GP", "ET"])
def test_finite_space_is_proposed_once_each_best_first(surrogate):
    space = SearchSpace({"a": Int(0, 9), "b": Bool()})
    searched = search(
        BayesianSearcher(surrogate, "EI", num_initial=5),
        space,
        lambda c: -abs(c["a"] - 7) + c["b"],
        num_trials=99,
    )
    assert len({config_key(c) for c in searched.configs}) == len(searched.configs) == 20
    assert searched.is_used_up
    assert searched.configs.index({"a": 7, "b": True}) < 12


def test_cost_of_a_proposal_stays_flat():
    searcher, rng = BayesianSearcher(), np.random.default_rng(0)
    searcher.bind(BRANIN, seed=0)
    for trial_id in range(1500):
        config = BRANIN.sample(rng)
        score = branin(config)
        searcher.observe(Report(trial_id, config, TrialState.COMPLETED, 1, score, score))
    started = time.perf_counter()
    searcher.suggest(1500)
    assert time.perf_counter() - started < 10  # about 0.2 s alone; a GP on 1,500 trials: a minute


def test_learns_from_max_observations_at_most():
    searcher = BayesianSearcher(num_initial=3, max_observations=6)
    search(searcher, BRANIN, branin, num_trials=9)
    rows, losses = searcher._data()
    assert rows.shape == (6, 2)
    assert losses.shape == (6,)


def test_first_trials_fill_the_space_evenly():
    searcher = BayesianSearcher(num_initial=16)
    configs = search(searcher, SearchSpace({"x": Real(0, 1)}), smooth, num_trials=16).configs
    assert sorted(int(c["x"] * 16) for c in configs) == list(range(16))  # one in each sixteenth


def test_given_trials_count_as_initial_ones():
    searcher = BayesianSearcher(num_initial=5)
    searcher.bind(BRANIN, seed=0)
    rng = np.random.default_rng(0)
    for trial_id in range(5):
        config = BRANIN.sample(rng)
        searcher.observe(Report(trial_id, config, TrialState.COMPLETED, 1, branin(config), branin(config)))
    assert searcher.suggest(5) != searcher._initial(5)


def test_many_parameters_are_no_obstacle():
    space = SearchSpace({f"layer{i}/op": Categorical("conv", "pool", "skip") for i in range(40)})
    searched = search(BayesianSearcher(num_initial=4), space, smooth, num_trials=6)
    assert len(searched.configs) == 6


def test_bad_arguments_are_refused():
    with pytest.raises(UnknownNameError, match="unknown surrogate 'GBRT'; known: GP, RF, ET"):
        BayesianSearcher("GBRT")
    with pytest.raises(UnknownNameError, match="unknown acquisition 'UCB'; known: EI, LCB, PI, gp_hedge"):
        BayesianSearcher(acquisition="UCB")
    with pytest.raises(OptionError, match="num_initial must be a whole number >= 1, got 0"):
        BayesianSearcher(num_initial=0)
    with pytest.raises(OptionError, match="max_observations must be a whole number >= 3, got 2"):
        BayesianSearcher(max_observations=2)
    with pytest.raises(OptionError, match="call bind"):
        BayesianSearcher().suggest(0)


def test_importing_the_searchers_imports_no_heavy_library():
    heavy = {"skopt", "sklearn", "scipy", "torch", "pandas", "matplotlib"}
    code = f"import sys, autodl.searchers, autodl.schedulers; print(sorted({heavy} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
