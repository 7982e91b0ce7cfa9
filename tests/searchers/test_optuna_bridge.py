from __future__ import annotations

import sys

import numpy as np
import pytest

from autodl.errors import MissingDependencyError
from autodl.searchers.optuna_bridge import OptunaSearcher
from autodl.spaces import Categorical, Int, Real, SearchSpace
from autodl.testing.searchers import SPACES, SearcherContract, search
from autodl.trial import Report, TrialState

optuna = pytest.importorskip("optuna")


class TestOptuna(SearcherContract):
    def make(self):
        return OptunaSearcher()


class TestOptunaCmaEs(SearcherContract):
    num_trials = 10

    def spaces(self):
        return {"numbers": SPACES["numbers"], "finite": SPACES["finite"]}

    def make(self):
        return OptunaSearcher(optuna.samplers.CmaEsSampler(seed=0, warn_independent_sampling=False))


def told(searcher, trial_id, config, state, score=None, resource=1):
    searcher.observe(Report(trial_id, config, state, resource, score, score))


@pytest.fixture
def searcher():
    made = OptunaSearcher(optuna.samplers.RandomSampler(seed=0))
    made.bind(SPACES["conditional"], seed=0)
    return made


def test_the_study_has_what_was_reported(searcher):
    configs = [searcher.suggest(i) for i in range(4)]
    told(searcher, 0, configs[0], TrialState.RUNNING, 0.1)
    told(searcher, 0, configs[0], TrialState.RUNNING, 0.3, 2)
    told(searcher, 0, configs[0], TrialState.COMPLETED, 0.3, 2)
    told(searcher, 1, configs[1], TrialState.FAILED, 0.9)
    told(searcher, 2, configs[2], TrialState.RUNNING, 0.2)
    told(searcher, 2, configs[2], TrialState.STOPPED, 0.2)
    trials = searcher._study.trials
    assert [t.state.name for t in trials] == ["COMPLETE", "FAIL", "PRUNED", "RUNNING"]
    assert trials[0].value == 0.3
    assert trials[0].intermediate_values == {1: 0.1, 2: 0.3}
    assert [t.params for t in trials] == configs  # active labels only


def test_foreign_trials_join_the_study(searcher):
    config = {"lr": 0.25, "net": "mlp", "net/mlp/hidden": 7}
    told(searcher, -1, config, TrialState.RUNNING, 0.1)
    told(searcher, -1, config, TrialState.COMPLETED, 0.1)
    [trial] = searcher._study.trials
    assert (trial.params, trial.value) == (config, 0.1)
    assert searcher.suggest(0) != config


def test_the_sampler_proposes():
    space = SearchSpace({"x": Real(0, 1), "n": Int(1, 64, log=True)})
    ours = OptunaSearcher(optuna.samplers.RandomSampler(seed=5))
    ours.bind(space, seed=0)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=5))
    for i in range(5):
        trial = study.ask()
        theirs = {"x": trial.suggest_float("x", 0, 1), "n": trial.suggest_int("n", 1, 64, log=True)}
        assert ours.suggest(i) == theirs


def test_the_runs_seed_seeds_the_default_sampler():
    def proposals(seed):
        return search(
            OptunaSearcher(), SPACES["numbers"], lambda c: c["lr"], num_trials=12, seed=seed
        ).configs

    assert proposals(1) == proposals(1) != proposals(2)


def test_values_that_are_equal_in_python_stay_apart():
    space = SearchSpace({"v": Categorical(1, 1.0, True, "1")})
    searched = search(OptunaSearcher(), space, lambda c: 0.0, num_trials=9)
    assert sorted(map(repr, (c["v"] for c in searched.configs))) == ["'1'", "1", "1.0", "True"]
    assert searched.is_used_up


def test_a_grid_ends_the_search():
    grid = optuna.samplers.GridSampler({"x": [0.25, 0.5, 0.75]}, seed=0)
    searched = search(OptunaSearcher(grid), SearchSpace({"x": Real(0, 1)}), lambda c: 0.0, num_trials=9)
    assert sorted(c["x"] for c in searched.configs) == [0.25, 0.5, 0.75]
    assert searched.is_used_up


def test_learns():
    reached = [
        search(
            OptunaSearcher(),
            SearchSpace({"x": Real(0, 1)}),
            lambda c: -abs(c["x"] - 0.7),
            num_trials=40,
            seed=s,
        ).best
        for s in range(3)
    ]
    assert np.median(reached) > -0.01


def test_without_optuna_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingDependencyError, match=r"autodl\[optuna\]"):
        OptunaSearcher()


def test_optunas_verbosity_is_left_alone():
    before = optuna.logging.get_verbosity()
    OptunaSearcher().bind(SPACES["finite"], seed=0)
    assert optuna.logging.get_verbosity() == before
