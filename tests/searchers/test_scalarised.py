from __future__ import annotations

import numpy as np
import pytest

from autodl.errors import OptionError
from autodl.objectives import make_goals
from autodl.pareto import hypervolume
from autodl.searchers.cmaes import CMAESSearcher
from autodl.searchers.ehvi import EHVISearcher
from autodl.searchers.gp import GPSearcher
from autodl.searchers.grid_search import GridSearcher
from autodl.searchers.nsga2 import NSGA2Searcher
from autodl.searchers.random_search import RandomSearcher
from autodl.searchers.scalarised import METHODS, ScalarisedSearcher, for_goals, scalarise
from autodl.searchers.tpe import TPESearcher
from autodl.spaces import Real, SearchSpace
from autodl.testing.searchers import SearcherContract
from autodl.trial import Report, TrialState


class TestRandomScalarised(SearcherContract):
    def make(self):
        return ScalarisedSearcher("random")


class TestGPScalarised(SearcherContract):
    num_trials = 7

    def make(self):
        return ScalarisedSearcher(GPSearcher(num_initial=3), method="hypervolume")


GOALS = make_goals(["a", "b"], "max")


def disc(config) -> dict[str, float]:
    """The front is the quarter circle x = 1."""
    angle = config["angle"] * np.pi / 2
    return {"a": config["x"] * float(np.cos(angle)), "b": config["x"] * float(np.sin(angle))}


def found_volume(searcher, num_trials=24) -> float:
    if hasattr(searcher, "bind_objectives"):
        searcher.bind_objectives(GOALS)
    searcher.bind(SearchSpace({"x": Real(0, 1), "angle": Real(0, 1)}), seed=1)
    points = []
    for trial_id in range(num_trials):
        config = searcher.suggest(trial_id)
        metrics = disc(config)
        points.append([metrics["a"], metrics["b"]])
        report = Report(trial_id, config, TrialState.COMPLETED, 1, metrics["a"], metrics["a"], metrics)
        searcher.observe(report)
    return hypervolume(points, [0, 0])


@pytest.mark.parametrize("method", METHODS)
def test_a_gp_covers_the_front_with_either_scalarisation(method):
    reached = found_volume(ScalarisedSearcher(GPSearcher(num_initial=5), method))
    assert reached > 0.7  # of pi / 4 = .785
    assert reached > found_volume(RandomSearcher()) + 0.05


def test_scalarisations_prefer_what_beats_another_in_all_metrics():
    scores = np.array([[0.0, 0.0], [0.2, 0.3], [1.0, 1.0]])
    for method in METHODS:
        for weight in (0.0, 0.3, 1.0):
            mixed = scalarise(scores, np.array([weight, 1 - weight]), method, scores)
            assert list(np.argsort(mixed)) == [0, 1, 2]


def test_searchers_that_know_goals_or_learn_nothing_stay_as_they_are():
    for searcher in (RandomSearcher(), GridSearcher(), NSGA2Searcher()):
        assert for_goals(searcher, GOALS) is searcher
    gp = GPSearcher()
    assert for_goals(gp, make_goals("a")) is gp
    three = for_goals(gp, make_goals(["a", "b", "c"]))
    assert isinstance(three, ScalarisedSearcher) and three.searcher is gp


def test_a_gp_for_two_metrics_or_under_constraints_models_each():
    for goals in (GOALS, make_goals("a", None, {"b": "<= 1"})):
        made = for_goals(GPSearcher(num_initial=7), goals)
        assert isinstance(made, EHVISearcher) and made.num_initial == 7


def test_other_models_are_rescored_under_constraints_and_the_rest_told_once():
    goals = make_goals("a", None, {"b": "<= 1"})
    assert isinstance(for_goals(TPESearcher(), goals), ScalarisedSearcher)
    evolution = CMAESSearcher()
    assert for_goals(evolution, goals) is evolution


def test_unknown_method_is_refused():
    with pytest.raises(OptionError, match="chebyshev"):
        ScalarisedSearcher("random", "sum")
