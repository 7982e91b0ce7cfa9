"""Contour, functional ANOVA and Pareto plots."""

from __future__ import annotations

import numpy as np
import pytest

from autodl.objectives import make_goals
from autodl.report.fanova import effects
from autodl.report.plot_style import BAD, GOOD
from autodl.report.plots import plot
from autodl.spaces import Categorical, Dict, Real, SearchSpace
from autodl.trial import Report, Trial, TrialState

SPACE = SearchSpace({"a": Real(0, 1), "b": Real(0, 1), "c": Real(1e-4, 1, log=True)})


def trials_of(function, space=SPACE, count=300):
    trials = []
    for i in range(count):
        config = space.sample(np.random.default_rng(i))
        score = function(config)
        report = Report(i, config, TrialState.RUNNING, 1, score, score)
        trials.append(Trial(i, config, TrialState.COMPLETED, [report], ended_s=1.0))
    return trials


def test_main_effects_are_those_of_a_known_sum():
    """Var(3a) : Var(b) = 9 : 1."""
    found = effects(trials_of(lambda c: 3 * c["a"] + c["b"]), space=SPACE)
    assert list(found.alone)[:2] == ["a", "b"]
    assert found.alone["a"] == pytest.approx(0.9, abs=0.06)
    assert found.alone["c"] < 0.02
    assert max(found.pairs.values()) < 0.05
    assert found.num_trials == 300


def test_an_interaction_is_seen_as_a_pair():
    """The sign of (a - .5)(b - .5): nothing alone, all together."""
    found = effects(trials_of(lambda c: float((c["a"] > 0.5) == (c["b"] > 0.5))), space=SPACE)
    assert next(iter(found.pairs)) == ("a", "b") or next(iter(found.pairs)) == ("b", "a")
    assert next(iter(found.pairs.values())) > 0.5
    assert max(found.alone.values()) < 0.3


def test_scale_comes_from_the_space_or_from_the_ranks():
    def score(config):
        return np.log(config["c"])

    for space in (SPACE, None):
        assert effects(trials_of(score), space=space).alone["c"] > 0.9


def test_resource_is_no_doing_of_the_config():
    trials = trials_of(lambda c: c["a"])
    for trial in trials[::2]:
        report = trial.reports[0]
        trial.reports = [
            Report(trial.trial_id, trial.config, report.state, 9, report.value + 3, report.score + 3)
        ]
    assert effects(trials, space=SPACE).alone["a"] > 0.8


def test_too_little_or_nothing_that_varies_gives_nothing():
    assert effects(trials_of(lambda c: c["a"], count=4)).alone == {}
    assert effects(trials_of(lambda c: 1.0)).alone == {}
    assert effects([]).num_trials == 0


def test_fanova_draws_labels_and_pairs(make_run):
    run = make_run(0)
    run.trials = trials_of(lambda c: c["a"] * c["b"])
    (ax,) = plot("fanova", run).axes
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert set(names[:2]) == {"a", "b"}
    assert names[3] in ("a with b", "b with a")


def test_contour_puts_the_best_trial_at_its_place(make_run):
    run = make_run(0)
    run.trials = trials_of(lambda c: -abs(c["a"] - 0.3) - abs(np.log10(c["c"]) + 2), count=60)
    figure = plot("contour", run, labels=["a", "c"])
    ax = figure.axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("a", "c")
    (ring,) = [c for c in ax.collections if c.get_gid() == "best"]
    best = max(run.trials, key=lambda t: t.best.score).config
    lows = min(t.config["a"] for t in run.trials), max(t.config["a"] for t in run.trials)
    assert ring.get_offsets()[0][0] == pytest.approx((best["a"] - lows[0]) / (lows[1] - lows[0]))
    assert "0.01" in [text.get_text() for text in ax.get_yticklabels()]
    assert figure.axes[1].get_ylabel() == "accuracy"


def test_contour_leaves_out_trials_in_which_a_label_is_inactive(make_run):
    space = SearchSpace({"net": Categorical({"x": Dict(w=Real(0, 1)), "y": None}), "a": Real(0, 1)})
    run = make_run(0)
    run.trials = trials_of(lambda c: c["a"] + c.get("net/x/w", 0), space, 40)
    ax = plot("contour", run, labels=["a", "net/x/w"]).axes[0]
    dots = max(len(c.get_offsets()) for c in ax.collections if c.get_offsets().size)
    assert dots == sum("net/x/w" in t.config for t in run.trials)
    texts = [t.get_text() for t in plot("contour", make_run(2)).axes[0].texts]
    assert "Too little to tell" in texts[0]


def pareto_run(make_run):
    run = make_run(0)
    run.goals = make_goals(["accuracy", "ms"], ["max", "min"], {"ms": "<= 20"})
    for i, (accuracy, ms) in enumerate([(0.9, 15), (0.8, 5), (0.7, 10), (0.95, 30)]):
        metrics = {"accuracy": accuracy, "ms": float(ms)}
        violation = run.goals.violation(metrics)
        report = Report(i, {"x": i}, TrialState.RUNNING, 1, accuracy, accuracy, metrics, violation)
        run.trials.append(Trial(i, {"x": i}, TrialState.COMPLETED, [report], ended_s=1.0))
    return run


def test_pareto_shows_front_beaten_and_infeasible_trials(make_run):
    (ax,) = plot("pareto", pareto_run(make_run)).axes
    by_label = {line.get_label(): line for line in ax.lines}
    assert list(by_label["Pareto front"].get_xdata()) == [0.8, 0.9]
    assert by_label["Pareto front"].get_color() == GOOD
    assert list(by_label["beaten"].get_xdata()) == [0.7]
    assert list(by_label["misses a constraint"].get_ydata()) == [30.0]
    assert by_label["misses a constraint"].get_color() == BAD
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("accuracy → better", "ms ← better")


def test_pareto_of_three_metrics_has_a_panel_for_each_pair(make_run):
    run = pareto_run(make_run)
    run.goals = make_goals(["accuracy", "ms", "size"], ["max", "min", "min"])
    for trial in run.trials:
        trial.best.metrics["size"] = 1.0
    assert len(plot("pareto", run).axes) == 3


def test_pareto_of_one_metric_says_what_it_needs(run):
    assert "two" in plot("pareto", run).axes[0].texts[0].get_text()
