from __future__ import annotations

import json
import shutil
import warnings

import numpy as np
import pytest

import autodl as ad
from autodl.errors import JournalError, OptionError
from autodl.saved_result import load_result
from autodl.searchers import RandomSearcher, WarmStartSearcher
from autodl.testing.searchers import SearcherContract
from autodl.trial import Report, TrialState

SPACE = {"x": ad.Real(0, 1), "y": ad.Real(0, 1)}


def train(args, reporter):
    if args.x > 0.9:
        raise ValueError("too much")
    for epoch in range(1, 4):
        reporter(epoch=epoch, loss=(args.x - 0.3) ** 2 + (args.y - 0.6) ** 2 + 1 / epoch)


def tune(path=None, **options):
    return ad.tune(
        train, options.pop("space", SPACE), **{"metric": "loss", "num_trials": 12, "path": path, **options}
    )


@pytest.fixture
def old(tmp_path):
    return tune(tmp_path / "old", searcher="random", num_trials=20, seed=9)


class Keeping:
    """Proposes one config, keeps what it is told."""

    def __init__(self):
        self.told, self.skipped = [], []

    def suggest(self, trial_id):
        return {"x": 0.5, "y": 0.5}

    def observe(self, report):
        self.told.append(report)

    def skip(self, configs):
        self.skipped += configs


class TestWarmStarted(SearcherContract):
    def make(self):
        return WarmStartSearcher([], then="random")


def test_all_that_an_earlier_run_reported_is_told(old):
    keeping = Keeping()
    tune(searcher=keeping, warm_start=old.path, num_trials=1)
    foreign = [report for report in keeping.told if report.trial_id < 0]
    assert keeping.told[: len(foreign)] == foreign  # before the first of its own
    ends = {report.trial_id: report for report in foreign if report.state.ended}
    assert sorted(ends) == list(range(-20, 0))
    for trial in old.trials:
        end = ends[-1 - trial.trial_id]
        assert (end.config, end.state) == (trial.config, trial.state)
        assert end.value == (None if trial.best is None else trial.best.value)
    assert {report.state for report in ends.values()} == {TrialState.COMPLETED, TrialState.FAILED}
    measured = [r for r in foreign if r.trial_id == -1 and not r.state.ended]
    assert [r.resource for r in measured] == [1, 2, 3]
    assert keeping.skipped == [trial.config for trial in old.trials]


@pytest.mark.parametrize("how", ["path", "text", "journal", "result", "several"])
def test_a_run_can_be_named_in_many_ways(old, how):
    given = {
        "path": old.path,
        "text": str(old.path),
        "journal": old.path / "journal.jsonl",
        "result": old,
        "several": [old.path, old],
    }[how]
    keeping = Keeping()
    tune(searcher=keeping, warm_start=given, num_trials=1)
    ids = {report.trial_id for report in keeping.told if report.trial_id < 0}
    assert len(ids) == (40 if how == "several" else 20)


@pytest.mark.parametrize("name", ["auto", "gp", "bayesian", "tpe", "bohb", "evolution", "cmaes", "mobster"])
def test_searchers_go_on_from_what_was_found(name):
    """After 40 good trials of an earlier run, the first few proposals are near the optimum."""
    from autodl.searchers import get_searcher

    space = ad.spaces.SearchSpace(SPACE)
    searcher = get_searcher(name)
    searcher.bind(space, seed=0)
    rng = np.random.default_rng(0)
    for trial_id in range(-40, 0):
        config = space.sample(rng)
        score = -((config["x"] - 0.3) ** 2) - (config["y"] - 0.6) ** 2
        for state in (TrialState.RUNNING, TrialState.COMPLETED):
            searcher.observe(Report(trial_id, config, state, 1, score, score))
    distances = []
    for trial_id in range(12):
        config = searcher.suggest(trial_id)
        score = -((config["x"] - 0.3) ** 2) - (config["y"] - 0.6) ** 2
        distances.append(-score)
        for state in (TrialState.RUNNING, TrialState.COMPLETED):
            searcher.observe(Report(trial_id, config, state, 1, score, score))
    assert np.median(distances) < 0.08, distances  # chance: 0.17


def test_a_finite_space_goes_on_where_the_earlier_run_ended(tmp_path):
    space = {"a": ad.Int(1, 4), "b": ad.Categorical("x", "y")}

    def count(args, reporter):
        reporter(loss=args.a)

    for searcher in ("random", "evolution", "auto", "grid"):
        first = ad.tune(count, space, metric="loss", searcher=searcher, num_trials=5)
        second = ad.tune(count, space, metric="loss", searcher=searcher, warm_start=first)
        assert len(second.trials) == 3
        assert second.stopped_by == "exhausted"


def test_another_metric_or_mode_is_refused(old):
    for other in ({"metric": "accuracy"}, {"mode": "max"}, {"metric": ["loss", "accuracy"]}):
        with pytest.raises(OptionError, match=r"searched loss \(min\), this one searches"):
            tune(warm_start=old, **other)


def test_configs_that_do_not_fit_are_left_out_and_counted(old):
    narrow = {"x": ad.Real(0, 0.5), "y": ad.Real(0, 1)}
    fits = sum(trial.config["x"] <= 0.5 for trial in old.trials)
    keeping = Keeping()
    with pytest.warns(RuntimeWarning, match=f"{20 - fits} of 20 earlier trials are left out"):
        tune(searcher=keeping, space=narrow, warm_start=old, num_trials=1)
    assert len({r.trial_id for r in keeping.told if r.trial_id < 0}) == fits


def test_new_labels_are_filled_only_on_demand(old):
    wider = {**SPACE, "z": ad.Real(0, 1, default=0.25)}

    class Wide(Keeping):
        def suggest(self, trial_id):
            return {"x": 0.5, "y": 0.5, "z": 0.5}

    keeping = Wide()
    with pytest.warns(RuntimeWarning, match="20 of 20 earlier trials"):
        tune(searcher=keeping, space=wider, warm_start=old, num_trials=1)
    assert not [r for r in keeping.told if r.trial_id < 0]
    keeping = Wide()
    tune(searcher=WarmStartSearcher([old], then=keeping, fill_defaults=True), space=wider, num_trials=1)
    assert {r.config["z"] for r in keeping.told if r.trial_id < 0} == {0.25}


def test_a_torn_journal_will_do(old):
    journal = old.path / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[: len(lines) // 2]) + lines[len(lines) // 2][:9])
    keeping = Keeping()
    tune(searcher=keeping, warm_start=old.path, num_trials=1)
    ended = sum(json.loads(line)["event"] == "end" for line in lines[: len(lines) // 2])
    assert sum(r.state.ended for r in keeping.told if r.trial_id < 0) == ended > 3


def test_resume_replays_a_warm_started_run(old, tmp_path):
    whole = tune(tmp_path / "whole", warm_start=old.path, searcher="tpe")
    cut = tmp_path / "cut"
    tune(cut, warm_start=old.path, searcher="tpe", num_trials=6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no divergence
        resumed = tune(cut, warm_start=old.path, searcher="tpe", resume=True)
    assert [t.config for t in resumed.trials] == [t.config for t in whole.trials]


def test_resume_wants_the_same_earlier_runs(old, tmp_path):
    path = tmp_path / "new"
    tune(path, warm_start=old.path, num_trials=3)
    with pytest.raises(JournalError, match=r"warm_start: .*old there, nothing here"):
        tune(path, resume=True)
    moved = tmp_path / "moved"
    shutil.copytree(old.path, moved)
    shutil.rmtree(old.path)
    with pytest.raises(JournalError, match=r"If that run was moved, name its new place"):
        tune(path, warm_start=old.path, resume=True)
    assert len(tune(path, warm_start=moved, num_trials=4, resume=True).trials) == 4
    journal = moved / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[: len(lines) // 2]))
    with pytest.raises(JournalError, match=r"warm_start: "):
        tune(path, warm_start=moved, resume=True)


def test_points_to_evaluate_come_first_even_if_they_were_tried(old):
    best = old.best_config
    result = tune(warm_start=old, points_to_evaluate=[best], searcher="tpe", num_trials=3)
    assert result.trials[0].config == best


def test_missed_constraints_are_told_below_all_that_keep_them(old):
    keeping = Keeping()
    tune(searcher=keeping, warm_start=old, num_trials=1, constraints={"loss": "<= 0.5"})
    foreign = [r for r in keeping.told if r.trial_id < 0 and r.score is not None]
    kept = [r.score for r in foreign if r.violation == 0]
    missed = [r.score for r in foreign if r.violation > 0]
    assert kept and missed
    assert max(missed) < min(kept)


def test_only_runs_are_taken():
    with pytest.raises(OptionError, match="the result of one"):
        WarmStartSearcher(["runs/old"])
    with pytest.raises(JournalError, match="warm_start='nowhere'"):
        tune(warm_start="nowhere")


def test_unfinished_trials_are_not_told(old):
    result = load_result(old.path)
    result.trials[3].state = TrialState.RUNNING
    told = []
    searcher = WarmStartSearcher([result], then=RandomSearcher())
    searcher.then.observe = told.append
    searcher.bind(ad.spaces.SearchSpace(SPACE), seed=0)
    assert len({r.trial_id for r in told}) == 19
