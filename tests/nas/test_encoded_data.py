from __future__ import annotations

import numpy as np
import pytest

from autodl.nas.encoded_data import FidelityData
from autodl.trial import Report, TrialState


def filled(scores, repeats_from=None):
    """scores: (trial, resource, score); a score of None is a failure."""
    data = FidelityData(repeats_from)
    for trial, resource, score in scores:
        if not data.knows(trial):
            data.add(trial, {"n": trial}, np.array([float(trial)]))
        state = TrialState.FAILED if score is None else TrialState.RUNNING
        data.observe(Report(trial, {"n": trial}, state, resource, score, score))
    return data


def test_one_fidelity_is_the_top_one():
    points, targets = filled([(0, 5, 0.1), (1, 5, 0.2), (2, 5, 0.4)]).points(10)
    assert points.tolist() == [[0, 1], [1, 1], [2, 1]]
    assert targets[0] > targets[1] > targets[2], "smaller is better"


def test_a_low_fidelity_is_brought_to_the_scale_of_the_top():
    low = [(i, 1, 10.0 + i) for i in range(8)]
    top = [(i, 2, 100.0 + 3.0 * i) for i in range(6)]
    data = filled([*low, *top])
    points, targets = data.points(100)
    by_place = {tuple(point): target for point, target in zip(points.tolist(), targets, strict=True)}
    for i in range(6):
        assert by_place[(i, 0.0)] == pytest.approx(by_place[(i, 1.0)])
    assert by_place[(7, 0.0)] < by_place[(5, 1.0)], "an untrained trial of promise leads"


def test_repeats_are_one_fidelity_and_the_latest_counts():
    data = filled([(0, 1, 0.9), (1, 1, 0.5), (2, 1, 0.6), (0, 2, 0.4)], repeats_from=1)
    points, targets = data.points(10)
    assert len(points) == 3
    assert targets[0] == max(targets)
    assert data.complete()[0] == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_pending_are_those_without_any_score_and_failures_are_the_worst():
    data = filled([(0, 1, 0.9), (1, 1, 0.5), (2, 1, None)])
    data.add(3, {"n": 3}, np.array([3.0]))
    assert data.pending.tolist() == [[3.0]]
    assert data.configs == [{"n": 0}, {"n": 1}]
    _, targets = data.points(10)
    assert targets[2] >= targets[1] > targets[0]


def test_the_limit_keeps_the_best():
    data = filled([(i, 1, float(i)) for i in range(20)])
    points, _ = data.points(6)
    assert len(points) == 6
    assert 19.0 in points[:, 0]
