from __future__ import annotations

import logging
import warnings

import pytest

import autodl as ad
from autodl.objectives import make_goals
from autodl.schedulers import get_scheduler
from autodl.searchers import AutoSearcher, TPESearcher
from autodl.spaces import Categorical, Int, Real, SearchSpace
from autodl.testing.searchers import SPACES, SearcherContract, search
from autodl.trial import Report, TrialState


class TestAuto(SearcherContract):
    num_trials = 12

    def make(self):
        return AutoSearcher(num_trials=20)


class TestAutoWithoutEnd(SearcherContract):
    num_trials = 8

    def make(self):
        return AutoSearcher()


FEW = SearchSpace({"x": Real(0, 1), "n": Int(1, 99)})
MANY = SearchSpace({f"x{i}": Real(0, 1) for i in range(60)})
HUGE = SearchSpace({f"x{i}": Categorical("a", "b") for i in range(600)})
SMALL = SearchSpace({"a": Categorical("x", "y", "z"), "b": Int(1, 10)})


@pytest.mark.parametrize(
    ("space", "num_trials", "scheduler", "chosen"),
    [
        (FEW, 50, "fifo", "GPSearcher"),
        (FEW, None, "fifo", "GPSearcher"),
        (FEW, 50, "median", "GPSearcher"),
        (FEW, 1000, "fifo", "GPSearcher"),
        (FEW, 50_000, "fifo", "TPESearcher"),
        (MANY, 50, "fifo", "TPESearcher"),
        (HUGE, 50, "fifo", "EvolutionSearcher"),
        (SMALL, 30, "fifo", "GPSearcher"),
        (SPACES["finite"], 3, "fifo", "RandomSearcher"),
        (SPACES["constants only"], None, "fifo", "RandomSearcher"),
        (FEW, 50, "asha", "MobsterSearcher"),
        (FEW, 900, "asha", "MobsterSearcher"),
        (FEW, 9000, "asha", "TPESearcher"),
        (FEW, 50, "hyperband", "MobsterSearcher"),
        (FEW, 50, "sync_halving", "MobsterSearcher"),
        (FEW, 50, "pbt", "SobolSearcher"),
    ],
)
def test_rules(space, num_trials, scheduler, chosen):
    made = get_scheduler(scheduler, max_resource=27)
    searcher = AutoSearcher(num_trials, made, 27)
    searcher.bind(space, seed=0)
    assert type(searcher.chosen).__name__ == chosen
    assert chosen in repr(searcher)


@pytest.mark.parametrize(("num_trials", "chosen"), [(100, "EHVISearcher"), (6000, "NSGA2Searcher")])
def test_several_metrics(num_trials, chosen):
    searcher = AutoSearcher(num_trials)
    searcher.bind_objectives(make_goals(["accuracy", "latency"]))
    searcher.bind(FEW, seed=0)
    assert type(searcher.chosen).__name__ == chosen


def test_mobster_knows_the_rungs():
    scheduler = get_scheduler("asha", max_resource=64)
    scheduler.grace_period, scheduler.reduction_factor = 2, 4
    searcher = AutoSearcher(50, scheduler)
    searcher.bind(FEW, seed=0)
    chosen = searcher.chosen
    assert (chosen.max_resource, chosen.grace_period, chosen.reduction_factor) == (64, 2, 4)


def test_a_long_run_goes_on_with_a_cheaper_searcher(monkeypatch):
    monkeypatch.setattr("autodl.searchers.auto._GP_TRIALS", 12)
    searcher = AutoSearcher()
    searched = search(searcher, FEW, lambda c: -((c["x"] - 0.3) ** 2), num_trials=30, num_workers=3)
    assert len(searched.configs) == 30
    assert isinstance(searcher.chosen, TPESearcher)
    assert len(searcher.chosen._data.trials) == 30


def test_what_runs_is_handed_over_too(monkeypatch):
    monkeypatch.setattr("autodl.searchers.auto._GP_TRIALS", 3)
    searcher = AutoSearcher()
    searcher.bind(FEW, seed=0)
    searcher.skip([{"x": 0.5, "n": 3}])
    configs = [searcher.suggest(i) for i in range(4)]
    searcher.observe(Report(0, configs[0], TrialState.COMPLETED, 1, 1.0, 1.0))
    searcher.suggest(4)
    assert isinstance(searcher.chosen, TPESearcher)
    assert set(searcher.chosen._data.trials) == {0, 1, 2, 3, 4}


def test_it_is_the_default_of_tune_and_says_what_it_chose(caplog):
    with caplog.at_level(logging.INFO, logger="autodl"):
        ad.tune(lambda args, reporter: reporter(loss=args.x), FEW, metric="loss", num_trials=3)
    assert "searcher auto: GPSearcher" in caplog.text


def test_a_run_can_be_resumed_with_more_trials(tmp_path, monkeypatch):
    monkeypatch.setattr("autodl.searchers.auto._GP_TRIALS", 8)

    def tune(path, num_trials, **options):
        return ad.tune(
            lambda args, reporter: reporter(loss=(args.x - 0.3) ** 2),
            FEW,
            metric="loss",
            num_trials=num_trials,
            path=tmp_path / path,
            **options,
        )

    whole = tune("whole", 14)
    tune("cut", 6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resumed = tune("cut", 14, resume=True)
    assert [t.config for t in resumed.trials] == [t.config for t in whole.trials]
