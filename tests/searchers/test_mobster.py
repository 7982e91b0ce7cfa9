from __future__ import annotations

import math

import numpy as np
import pytest

from autodl.errors import OptionError
from autodl.searchers.features import Features
from autodl.searchers.mobster import MobsterSearcher
from autodl.searchers.mobster_data import RungData
from autodl.searchers.random_search import RandomSearcher
from autodl.searchers.registry import get_searcher
from autodl.spaces import Real, SearchSpace
from autodl.testing.searchers import SearcherContract
from autodl.trial import Report, TrialState

SPACE = SearchSpace({"x": Real(0, 1), "y": Real(0, 1)})


class TestMobster(SearcherContract):
    num_trials = 9

    def make(self) -> MobsterSearcher:
        return MobsterSearcher(num_initial=4)


def told(trial_id: int, config: dict, resource: int, score: float | None, state=TrialState.RUNNING) -> Report:
    return Report(trial_id, config, state, resource, score, score)


def curve(config: dict, epoch: int) -> float:
    asymptote = -((config["x"] - 0.7) ** 2 + (config["y"] - 0.2) ** 2)
    return asymptote - 0.5 * 0.7**epoch * (1 + 0.2 * config["x"])


def run(searcher: MobsterSearcher | RandomSearcher, num_trials: int, seed: int = 0) -> list[float]:
    """Stopped at rungs 1, 3, 9 unless in the top third: the best score after each trial."""
    searcher.bind(SPACE, seed=seed)
    rungs: dict[int, list[float]] = {1: [], 3: [], 9: []}
    best: list[float] = []
    for trial_id in range(num_trials):
        config = searcher.suggest(trial_id)
        assert config is not None
        top = -math.inf
        for epoch in range(1, 28):
            score = curve(config, epoch)
            top = max(top, score)
            searcher.observe(told(trial_id, config, epoch, score))
            if epoch in rungs:
                rungs[epoch].append(score)
                if sum(other > score for other in rungs[epoch]) > (len(rungs[epoch]) - 1) // 3:
                    searcher.observe(told(trial_id, config, epoch, top, TrialState.STOPPED))
                    break
        else:
            searcher.observe(told(trial_id, config, 27, top, TrialState.COMPLETED))
        best.append(max([top, *best[-1:]]))
    return best


@pytest.mark.parametrize("seed", [0, 1])
def test_finds_the_planted_optimum_of_learning_curves(seed):
    assert run(MobsterSearcher(max_resource=27), 25, seed)[-1] > -2e-3


def test_finds_it_without_being_told_the_full_resource():
    assert run(MobsterSearcher(), 25)[-1] > -2e-3


def test_with_the_same_rungs_it_beats_random_search():
    wins = [
        run(MobsterSearcher(max_resource=27), 25, seed)[-1] > run(RandomSearcher(), 25, seed)[-1]
        for seed in range(5)
    ]
    assert sum(wins) >= 4


def test_is_named_in_the_table():
    assert isinstance(get_searcher("mobster"), MobsterSearcher)


def test_only_rungs_count_each_once():
    data = RungData(Features(SPACE), grace_period=1, reduction_factor=3, max_resource=27)
    config = {"x": 0.5, "y": 0.5}
    data.add(0, config)
    for epoch in range(1, 28):
        data.observe(told(0, config, epoch, -1.0 / epoch))
    assert data.points(100).resource.tolist() == [1, 3, 9, 27]
    assert len(data.unfinished(27)) == 0


def test_a_report_past_a_rung_counts_for_it_with_its_own_resource():
    data = RungData(Features(SPACE), grace_period=2, reduction_factor=3, max_resource=None)
    config = {"x": 0.5, "y": 0.5}
    data.add(0, config)
    for epoch in (1, 4, 5, 8, 11):
        data.observe(told(0, config, epoch, 0.1 * epoch))
    assert data.points(100).resource.tolist() == [4, 8]
    assert len(data.unfinished(27)) == 1


def test_failed_trials_are_finished_and_the_worst():
    data = RungData(Features(SPACE), grace_period=1, reduction_factor=3, max_resource=9)
    for trial_id, score in enumerate((0.1, 0.9)):
        data.add(trial_id, {"x": 0.5, "y": 0.1 * trial_id})
        data.observe(told(trial_id, {"x": 0.5, "y": 0.1 * trial_id}, 1, score))
    data.add(2, {"x": 0.1, "y": 0.1})
    data.observe(told(2, {"x": 0.1, "y": 0.1}, 1, None, TrialState.FAILED))
    points = data.points(100)
    assert points.targets[2] == points.targets.max()
    assert len(data.unfinished(9)) == 2


def test_a_config_that_is_always_stopped_is_not_proposed_for_ever():
    """At rung 1 nothing tells what comes later, and no trial ever gets further."""
    searcher = MobsterSearcher(max_resource=27)
    searcher.bind(SPACE, seed=0)
    proposed = []
    for trial_id in range(30):
        config = searcher.suggest(trial_id)
        assert config is not None
        proposed.append([config["x"], config["y"]])
        searcher.observe(told(trial_id, config, 1, curve(config, 1)))
        searcher.observe(told(trial_id, config, 1, curve(config, 1), TrialState.STOPPED))
    points = np.array(proposed)
    distances = np.abs(points[:, None] - points[None]).max(axis=2) + np.eye(30)
    assert (distances.min(axis=1) > 1e-3).sum() > 20


@pytest.mark.parametrize(
    "options",
    [
        {"num_initial": 0},
        {"max_resource": 0},
        {"grace_period": 1.5},
        {"reduction_factor": 1},
        {"max_observations": True},
        {"random_share": 1.0},
    ],
)
def test_numbers_out_of_range_are_refused(options):
    with pytest.raises(OptionError, match=next(iter(options))):
        MobsterSearcher(**options)
