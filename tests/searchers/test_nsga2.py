from __future__ import annotations

import numpy as np
import pytest

from autodl.errors import OptionError
from autodl.objectives import make_goals
from autodl.pareto import hypervolume
from autodl.searchers.nsga2 import NSGA2Searcher
from autodl.searchers.random_search import RandomSearcher
from autodl.spaces import Bool, Real, SearchSpace
from autodl.testing.searchers import SearcherContract
from autodl.trial import Report, TrialState

GOALS = make_goals(["f1", "f2"], "min")


class TestNSGA2(SearcherContract):
    def make(self):
        return NSGA2Searcher(population_size=4)


def zdt1(config) -> dict[str, float]:
    """Zitzler, Deb, Thiele (2000): the front is f2 = 1 - sqrt(f1), where all but x0 are 0."""
    first, *rest = config.values()
    g = 1 + 9 * float(np.mean(rest))
    return {"f1": first, "f2": g * (1 - (first / g) ** 0.5)}


def front_of(searcher, evaluate, *, num_trials=200, goals=GOALS, seed=0, workers=4, dim=6) -> list[tuple]:
    """Trials on some workers, the oldest ending first; (metrics, violation) of each."""
    if hasattr(searcher, "bind_objectives"):
        searcher.bind_objectives(goals)
    searcher.bind(SearchSpace({f"x{i}": Real(0, 1) for i in range(dim)}), seed=seed)
    running, ended = [], []
    for trial_id in range(num_trials):
        config = searcher.suggest(trial_id)
        running.append((trial_id, config))
        if len(running) == workers:
            number, config = running.pop(0)
            metrics = evaluate(config)
            violation = goals.violation(metrics)
            score = goals.scores(metrics)[0]
            searcher.observe(
                Report(number, config, TrialState.COMPLETED, 1, -score, score, metrics, violation)
            )
            ended.append((metrics, violation))
    return ended


def volume(ended) -> float:
    return hypervolume([[-m["f1"], -m["f2"]] for m, violation in ended if violation <= 0], [-1.1, -11])


def test_finds_the_front_of_zdt1_far_better_than_random_search():
    found = [volume(front_of(NSGA2Searcher(), zdt1, seed=seed)) for seed in range(3)]
    drawn = [volume(front_of(RandomSearcher(), zdt1, seed=seed)) for seed in range(3)]
    best = 1.1 * 11 - 1 / 3  # the whole box but what lies below the front
    assert min(found) > max(drawn)
    assert best - np.mean(found) < 0.5 * (best - np.mean(drawn))


def test_constraints_are_kept_before_anything_else():
    goals = make_goals(["f1", "f2"], "min", {"g": "<= 0.2"})
    ended = front_of(NSGA2Searcher(), lambda c: zdt1(c) | {"g": c["x5"]}, goals=goals)
    late = [violation for _, violation in ended[100:]]
    early = [violation for _, violation in ended[:20]]
    assert np.mean(np.array(late) <= 0) > 0.7 > np.mean(np.array(early) <= 0)


def test_a_finite_space_is_tried_once_each_and_ends():
    searcher = NSGA2Searcher(population_size=2)
    searcher.bind(SearchSpace({"a": Bool(), "b": Bool()}), seed=0)
    configs = []
    while (config := searcher.suggest(len(configs))) is not None:
        configs.append(config)
        score = float(config["a"])
        searcher.observe(Report(len(configs) - 1, config, TrialState.COMPLETED, 1, score, score))
    assert len({str(c) for c in configs}) == len(configs) == 4


@pytest.mark.parametrize("options", [{"population_size": 1}, {"mutation": 0.0}, {"population_size": True}])
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(OptionError):
        NSGA2Searcher(**options)
