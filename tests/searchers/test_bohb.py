from __future__ import annotations

import numpy as np
import pytest

from autodl.errors import OptionError
from autodl.searchers.bohb import BOHBSearcher
from autodl.searchers.random_search import RandomSearcher
from autodl.searchers.unseen import config_key
from autodl.spaces import Bool, Categorical, Dict, Int, Real, SearchSpace
from autodl.testing.searchers import SearcherContract, search
from autodl.trial import Report, TrialState


class TestBOHB(SearcherContract):
    def make(self) -> BOHBSearcher:
        return BOHBSearcher(min_points=2)


LINE = SearchSpace({"x": Real(0, 1)})
CONDITIONAL = SearchSpace(
    {
        "lr": Real(0, 1),
        "net": Categorical(
            {"mlp": Dict(width=Int(1, 64, log=True)), "conv": Dict(drop=Real(0, 1)), "off": 0}
        ),
    }
)


def planted(config):
    if config["net"] == "conv":
        return 1 - (config["net/conv/drop"] - 0.7) ** 2 - abs(config["lr"] - 0.2)
    return 0.4 - abs(config["lr"] - 0.2)


def reported(searcher, curves, first=0):
    """Tell of trials at given x: {resource: score} each."""
    for trial_id, (x, scores) in enumerate(curves, start=first):
        for resource, score in scores.items():
            searcher.observe(Report(trial_id, {"x": x}, TrialState.RUNNING, resource, score, score))


def proposals(searcher, first, count=60):
    return np.array([searcher.suggest(first + i)["x"] for i in range(count)])


def test_finds_the_branch_and_its_optimum():
    def runs(make, seeds):
        return [search(make(), CONDITIONAL, planted, num_trials=120, seed=s) for s in range(seeds)]

    found, chance = runs(BOHBSearcher, 7), runs(RandomSearcher, 30)
    assert np.median([run.best for run in found]) > np.median([run.best for run in chance])
    # A third stays random, so the mean moves by two thirds of what it could.
    assert np.mean([run.scores[60:] for run in found]) > np.mean([run.scores[60:] for run in chance]) + 0.3


def test_model_is_of_the_highest_resource_with_enough_scores():
    """Low resources mislead to 0.1; the highest with dim + 3 = 4 scores says 0.5; the top one, 0.9, has 3."""
    xs = np.linspace(0, 1, 41)
    curves = [(float(x), {1: -abs(x - 0.1)}) for x in xs]
    for position in range(0, 41, 4):
        x, scores = curves[position]
        scores[3] = -abs(x - 0.5)
    for position in (0, 20, 36):
        x, scores = curves[position]
        scores[9] = -abs(x - 0.9)
    searcher = BOHBSearcher(random_fraction=0)
    searcher.bind(LINE, seed=0)
    reported(searcher, curves)
    assert abs(np.median(proposals(searcher, 41)) - 0.5) < 0.1
    reported(searcher, [(float(xs[39]), {1: 0.0, 3: -0.5, 9: -0.075})], first=39)
    assert searcher._data.highest_resource(4) == 9
    assert np.median(proposals(searcher, 101)) > 0.6


def test_no_model_before_dim_plus_three_scores():
    searcher, chance = BOHBSearcher(random_fraction=0), BOHBSearcher(random_fraction=1)
    for each in (searcher, chance):
        each.bind(LINE, seed=1)
        reported(each, [(x, {1: -x}) for x in (0.01, 0.02, 0.9)])
    assert searcher.suggest(3) == chance.suggest(3)
    for each in (searcher, chance):
        reported(each, [(0.95, {1: -0.95})], first=4)
    assert searcher.suggest(5) != chance.suggest(5)


def test_a_third_is_drawn_at_random():
    def share_near(fraction):
        searcher = BOHBSearcher(random_fraction=fraction)
        searcher.bind(LINE, seed=0)
        reported(searcher, [(float(x), {1: -abs(x - 0.25)}) for x in np.linspace(0, 1, 101)])
        return (np.abs(proposals(searcher, 101, 300) - 0.25) < 0.15).mean()

    assert share_near(0) > 0.9
    assert share_near(1) == pytest.approx(0.3, abs=0.08)
    assert share_near(1 / 3) == pytest.approx(2 / 3 * share_near(0) + 1 / 3 * share_near(1), abs=0.08)


def test_candidates_come_from_widened_kernels():
    """All good trials at one point: kernels of the least width, 0.03, widened threefold."""
    searcher = BOHBSearcher(random_fraction=0, num_candidates=1)
    searcher.bind(LINE, seed=0)
    curves = [(0.5, {1: 1.0})] * 2 + [(x, {1: 0.0}) for x in (0.1, 0.3, 0.7, 0.9)]
    reported(searcher, curves)
    assert np.std(proposals(searcher, 6, 300)) == pytest.approx(0.09, rel=0.15)


def test_proposals_do_not_depend_on_the_order_of_the_reports():
    def next_proposal(order):
        searcher = BOHBSearcher(random_fraction=0)
        searcher.bind(CONDITIONAL, seed=5)
        configs = [searcher.suggest(i) for i in range(12)]
        for i in order:
            score = planted(configs[i])
            searcher.observe(Report(i, configs[i], TrialState.RUNNING, 1, score, score))
        return searcher.suggest(12)

    assert next_proposal(range(12)) == next_proposal([3, 11, 9, 0, 1, 8, 2, 10, 7, 5, 6, 4])


def test_finite_space_is_proposed_once_each_then_used_up():
    space = SearchSpace({"a": Int(0, 9), "b": Bool()})
    searched = search(BOHBSearcher(), space, lambda c: -abs(c["a"] - 7) + c["b"], num_trials=99)
    assert len({config_key(c) for c in searched.configs}) == len(searched.configs) == 20
    assert searched.is_used_up


@pytest.mark.parametrize(
    "wrong",
    [
        {"random_fraction": 1.5},
        {"random_fraction": "half"},
        {"random_fraction": True},
        {"num_candidates": 0},
        {"min_points": 1},
        {"min_points": 2.5},
    ],
)
def test_wrong_options_are_refused(wrong):
    with pytest.raises(OptionError, match=next(iter(wrong))):
        BOHBSearcher(**wrong)


def test_suggest_before_bind_says_so():
    with pytest.raises(OptionError, match=r"BOHBSearcher\(.*\) knows no space yet: call bind"):
        BOHBSearcher().suggest(0)
