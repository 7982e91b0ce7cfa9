"""Several metrics and constraints, from `tune` to the result."""

from __future__ import annotations

import math

import pytest

from autodl.errors import JournalError, OptionError
from autodl.journal import read_journal
from autodl.saved_result import load_result
from autodl.spaces import Real
from autodl.tuner import tune

SPACE = {"x": Real(0.0, 1.0), "y": Real(0.0, 1.0)}


def circle(args, reporter) -> None:
    """The front: x = 1; ``params`` is reported once."""
    angle = args.y * math.pi / 2
    for epoch in (1, 2):
        once = {"params": 100 * args.x} if epoch == 1 else {}
        reporter(epoch=epoch, a=args.x * math.cos(angle), b_loss=-args.x * math.sin(angle), **once)


def run(**options):
    defaults = {"metric": ["a", "b_loss"], "num_trials": 12, "searcher": "random"}
    return tune(circle, SPACE, **{**defaults, **options})


def test_front_hypervolume_leaderboard_and_repr():
    result = run()
    front = result.pareto_front()
    points = [(t.best.metrics["a"], -t.best.metrics["b_loss"]) for t in front]
    assert points == sorted(points, reverse=True)
    for trial in result.trials:
        mine = (trial.best.metrics["a"], -trial.best.metrics["b_loss"])
        beaten = any(p != mine and p[0] >= mine[0] and p[1] >= mine[1] for p in points)
        assert beaten == (trial not in front)
    table = result.leaderboard()
    assert table["pareto"].tolist() == [True] * len(front) + [False] * (12 - len(front))
    assert {"a", "b_loss"} <= set(table.columns) and "feasible" not in table
    assert result.pareto_front(as_frame=True)["trial_id"].tolist() == [t.trial_id for t in front]
    assert result.best_value == max(t.best.value for t in result.trials)
    by_name = result.hypervolume({"a": 0.0, "b_loss": 0.0})
    assert 0 < by_name < math.pi / 4 and by_name == result.hypervolume([0.0, 0.0])
    assert result.hypervolume() > 0
    with pytest.raises(OptionError, match="b_loss"):
        result.hypervolume({"a": 0.0})
    assert f"{len(front)} on the Pareto front of a (max), b_loss (min)" in repr(result)


@pytest.mark.parametrize("searcher", ["nsga2", "gp", "tpe"])
def test_searchers_beat_random_search(searcher):
    found = run(searcher=searcher, num_trials=40).hypervolume([0.0, 0.0])
    assert found > run(num_trials=40).hypervolume([0.0, 0.0])


def test_a_trial_must_report_all_metrics():
    def half(args, reporter):
        if args.x > 0.5:
            reporter(a=1.0)
        else:
            reporter(a=1.0, b_loss=1.0)

    result = tune(half, SPACE, metric=["a", "b_loss"], num_trials=6, seed=1)
    for trial in result.trials:
        assert (trial.state == "failed") == (trial.config["x"] > 0.5)
    assert any("all of the metrics 'a', 'b_loss'" in (t.error or "") for t in result.trials)


def test_best_keeps_the_constraints_and_what_is_reported_once_holds_on():
    result = run(metric="a", constraints={"params": "<= 60"}, num_trials=20)
    assert all(r.metrics["params"] == 100 * t.config["x"] for t in result.trials for r in t.reports)
    best = result.best_trial
    kept = [t for t in result.trials if t.config["x"] <= 0.6]
    assert best is max(kept, key=lambda t: t.best.value)
    assert result.best_value < max(t.best.value for t in result.trials)
    table = result.leaderboard()
    assert table["feasible"].tolist() == [True] * len(kept) + [False] * (20 - len(kept))
    assert table["params"][len(kept) :].is_monotonic_increasing


def test_infeasible_trials_are_best_only_among_themselves():
    result = run(metric="a", constraints=("params", "<=", -1.0), num_trials=5)
    assert result.best_trial is min(result.trials, key=lambda t: t.config["x"])
    assert "misses a constraint" in repr(result)
    assert result.pareto_front() == []
    assert result.hypervolume() == 0.0


def test_a_learning_searcher_stays_where_the_constraint_is_kept():
    def cost(args, reporter):
        reporter(a=args.x, params=args.x)

    result = tune(
        cost, SPACE, metric="a", constraints={"params": "<= 0.3"}, num_trials=25, searcher="gp", seed=2
    )
    assert 0.299 < result.best_value <= 0.3
    late = result.trials[10:]
    assert sum(t.config["x"] <= 0.32 for t in late) > len(late) / 2


def test_searchers_are_told_a_lower_score_for_what_misses_a_constraint():
    class Spy:
        def __init__(self):
            self.told = []

        def suggest(self, trial_id):
            return {"x": [0.5, 0.9, 0.2, 1.0][trial_id], "y": 0.0}

        def observe(self, report):
            self.told.append((report.config["x"], report.score))

    spy = Spy()
    run(metric="a", constraints={"params": "<= 60"}, num_trials=4, searcher=spy)
    scores = dict(spy.told)
    assert scores[0.5] == 0.5 and scores[0.2] == 0.2
    assert max(scores[1.0], scores[0.9]) < 0.2


@pytest.mark.parametrize("searcher", ["nsga2", "random"])
def test_resume_goes_on_as_if_nothing_had_happened(tmp_path, searcher):
    options = {"constraints": {"params": "<= 60"}, "searcher": searcher}
    run(path=tmp_path / "a", num_trials=25, **options)
    run(path=tmp_path / "b", num_trials=10, **options)
    run(path=tmp_path / "b", num_trials=25, resume=True, **options)
    configs = [
        [e["config"] for e in read_journal(tmp_path / name / "journal.jsonl") if e["event"] == "start"]
        for name in "ab"
    ]
    assert configs[0] == configs[1]
    with pytest.raises(JournalError, match="constraints"):
        run(path=tmp_path / "b", resume=True, searcher=searcher)
    with pytest.raises(JournalError, match="objectives"):
        run(path=tmp_path / "b", resume=True, **options, mode="max")


def test_load_gives_the_result_back(tmp_path):
    result = run(path=tmp_path, constraints={"params": "<= 60"}, scheduler="asha", max_resource=2)
    loaded = load_result(tmp_path)
    assert loaded.goals == result.goals and loaded.space == result.space
    assert [t.config for t in loaded.trials] == [t.config for t in result.trials]
    assert [t.reports for t in loaded.trials] == [t.reports for t in result.trials]
    assert [t.state for t in loaded.trials] == [t.state for t in result.trials]
    assert loaded.best_trial.trial_id == result.best_trial.trial_id
    assert loaded.stopped_by == result.stopped_by == "num_trials"
    assert loaded.hypervolume([0, 0]) == result.hypervolume([0, 0])
    assert type(result).load(tmp_path / "journal.jsonl").path == tmp_path


def test_load_follows_configs_and_weights_that_a_scheduler_changed(tmp_path):
    def train(args, reporter):
        state = reporter.load() or 0.0
        for _ in reporter.epochs(8):
            state += args.x
            reporter.save(state)
            reporter(a=state)

    result = tune(
        train,
        {"x": Real(0.0, 1.0)},
        metric="a",
        num_trials=4,
        searcher="random",
        scheduler="pbt",
        max_resource=8,
        path=tmp_path,
    )
    loaded = load_result(tmp_path)
    assert any(trial.lineage for trial in result.trials)
    for mine, read in zip(result.trials, loaded.trials, strict=True):
        assert read.config == mine.config and read.lineage == mine.lineage
        assert read.reports == mine.reports and read.attempt == mine.attempt


def test_load_says_what_is_no_run(tmp_path):
    with pytest.raises(JournalError, match="cannot read"):
        load_result(tmp_path)
    (tmp_path / "journal.jsonl").write_text('{"event":"start"}\n')
    with pytest.raises(JournalError, match="not a journal of autodl"):
        load_result(tmp_path)
