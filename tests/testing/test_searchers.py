"""The contract suite catches searchers that break the contract."""

from __future__ import annotations

import numpy as np
import pytest

from autodl.searchers import RandomSearcher
from autodl.spaces import Categorical, Int, Real, SearchSpace
from autodl.testing.searchers import SearcherContract, check_config, search, smooth

SPACE = SearchSpace({"a": Int(1, 9), "b": Categorical("x", "y"), "c": Real(0, 1)})


def failures(make_one):
    class Contract(SearcherContract):
        num_trials = 6

        def make(self):
            return make_one()

    contract = Contract()
    failed = set()
    names = [name for name in dir(contract) if name.startswith("test_")]
    assert len(names) >= 9
    for name in names:
        try:
            getattr(contract, name)()
        except Exception:
            failed.add(name)
    return failed


def test_suite_passes_random_search():
    assert failures(RandomSearcher) == set()


class OutOfSpace(RandomSearcher):
    def suggest(self, trial_id):
        return {"lr": -1}


class GlobalRandomness(RandomSearcher):
    def suggest(self, trial_id):
        rng = np.random.default_rng(np.random.randint(2**31))  # noqa: NPY002
        return self._binding.space.sample(rng)


class NeedsScores(RandomSearcher):
    def observe(self, report):
        if report.state.ended:
            assert report.score > -np.inf


class GivesUp(RandomSearcher):
    def suggest(self, trial_id):
        return super().suggest(trial_id) if trial_id < 4 else None


class KnowsItsOwnTrialsOnly(RandomSearcher):
    def bind(self, space, *, seed):
        super().bind(space, seed=seed)
        self.mine = {}

    def suggest(self, trial_id):
        config = super().suggest(trial_id)
        self.mine[trial_id] = config
        return config

    def observe(self, report):
        assert self.mine[report.trial_id] == report.config


@pytest.mark.parametrize(
    ("make", "caught"),
    [
        (OutOfSpace, "test_proposals_belong_to_the_space"),
        (GlobalRandomness, "test_leaves_numpys_global_generator_alone"),
        (GlobalRandomness, "test_same_seed_and_reports_give_the_same_proposals"),
        (NeedsScores, "test_goes_on_after_failed_trials"),
        (GivesUp, "test_infinite_space_never_runs_dry"),
        (KnowsItsOwnTrialsOnly, "test_takes_reports_of_trials_it_did_not_propose"),
    ],
)
def test_suite_catches_what_it_is_for(make, caught):
    assert caught in failures(make)


@pytest.mark.parametrize(
    "config",
    [
        {"a": np.int64(3), "b": "x", "c": 0.5},
        {"a": 3, "b": np.str_("x"), "c": 0.5},
        {"a": 3, "b": "x", "c": np.float64(0.5)},
    ],
)
def test_numpys_scalars_are_caught(config):
    with pytest.raises((AssertionError, ValueError)):
        check_config(SPACE, config)


def test_search_waits_for_reports_when_nothing_is_proposed():
    class OneAtATime(RandomSearcher):
        busy = False

        def suggest(self, trial_id):
            if self.busy:
                return None
            self.busy = True
            return super().suggest(trial_id)

        def observe(self, report):
            self.busy = self.busy and not report.state.ended

    searched = search(OneAtATime(), SPACE, smooth, num_trials=5, num_workers=3)
    assert len(searched.configs) == 5
    assert not searched.is_used_up
    assert searched.best == max(map(smooth, searched.configs))
