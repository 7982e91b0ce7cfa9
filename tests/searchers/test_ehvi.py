from __future__ import annotations

import math

import numpy as np
import pytest

from autodl.errors import OptionError
from autodl.objectives import make_goals
from autodl.pareto import hypervolume, non_dominated
from autodl.searchers.ehvi import EHVISearcher, expected_gain
from autodl.spaces import Real, SearchSpace
from autodl.testing.searchers import SearcherContract
from autodl.trial import Report, TrialState


class TestEHVI(SearcherContract):
    num_trials = 9

    def make(self):
        return EHVISearcher(num_initial=3)


@pytest.mark.parametrize("m", [1, 2])
def test_the_expected_gain_is_what_sampling_gives(m):
    rng = np.random.default_rng(m)
    points = rng.random((6, m))
    front, reference = points[non_dominated(points)], np.full(m, 0.1)
    means, deviations = rng.random((4, m)), 0.1 + 0.3 * rng.random((4, m))
    exact = expected_gain(means, deviations, front, reference)
    base = hypervolume(front, reference)
    for mean, deviation, found in zip(means, deviations, exact, strict=True):
        drawn = rng.normal(mean, deviation, (4000, m))
        gains = [hypervolume(np.vstack([front, d]), reference) - base for d in drawn]
        assert found == pytest.approx(np.mean(gains), abs=4 * np.std(gains) / math.sqrt(4000))


def run(goals, evaluate, num_trials):
    searcher = EHVISearcher(num_initial=6)
    searcher.bind_objectives(goals)
    searcher.bind(SearchSpace({"x": Real(0, 1), "y": Real(0, 1)}), seed=0)
    ended = []
    for trial_id in range(num_trials):
        config = searcher.suggest(trial_id)
        metrics = evaluate(config)
        violation, score = goals.violation(metrics), goals.scores(metrics)[0]
        report = Report(trial_id, config, TrialState.COMPLETED, 1, score, score, metrics, violation)
        searcher.observe(report)
        ended.append(report)
    return ended


def test_it_covers_a_curved_front():
    """The quarter circle of radius 1, whose hypervolume is pi / 4 = .785."""

    def disc(config):
        angle = config["y"] * math.pi / 2
        return {"a": config["x"] * math.cos(angle), "b": config["x"] * math.sin(angle)}

    ended = run(make_goals(["a", "b"]), disc, 26)
    assert hypervolume([[r.metrics["a"], r.metrics["b"]] for r in ended], [0, 0]) > 0.73


def test_one_metric_under_a_constraint_ends_at_the_border():
    """The best of x + y inside the circle of radius sqrt(.4): .894."""
    goals = make_goals("sum", None, {"radius2": "<= 0.4"})
    ended = run(goals, lambda c: {"sum": c["x"] + c["y"], "radius2": c["x"] ** 2 + c["y"] ** 2}, 22)
    assert 0.87 < max(r.score for r in ended if r.violation <= 0) <= math.sqrt(0.8)


def test_three_metrics_are_refused_with_a_way_out():
    with pytest.raises(OptionError, match="nsga2"):
        EHVISearcher().bind_objectives(make_goals(["a", "b", "c"]))
