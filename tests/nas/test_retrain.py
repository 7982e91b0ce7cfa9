from __future__ import annotations

import pytest

from autodl.nas import FitOptions, NASResult, Record, Run, Space
from autodl.nas.evaluators import Evaluation
from autodl.nas.fitting import accuracy
from autodl.nas.judge import Judge
from autodl.nas.retrain import Candidate, Retraining, finish, ranking
from autodl.testing.nas_strategies import TinyNet, tiny_data

ARCHS = list(Space(TinyNet).enumerate())


class Unused:
    def evaluate(self, arch, *, resource=None):
        return Evaluation(0.0)


def candidates(count: int) -> list[Candidate]:
    return [Candidate(arch, 0.5, None, 0.5) for arch in ARCHS[:count]]


def test_ranking_has_each_architecture_once_by_its_best_reward():
    records = [
        Record(0, ARCHS[0], 0.3, None, 0.0),
        Record(1, ARCHS[1], 0.9, 2.0, 0.0, {"reward": 0.1}),
        Record(2, ARCHS[0], 0.4, None, 0.0),
        Record(3, None, 0.99, None, 0.0),
        Record(4, ARCHS[2], None, None, 0.0),
    ]
    found = ranking(records)
    assert [(c.arch, c.reward) for c in found] == [(ARCHS[0], 0.4), (ARCHS[1], 0.1)]
    assert found[1].cost == 2.0


def test_best_of_the_retrained_is_kept_with_its_weights():
    space, data, run = Space(TinyNet), tiny_data(), Run("test", 1, default_units=1)
    found = Retraining(space, data, 4, FitOptions(epochs=2)).run(run, candidates(6), Judge(Unused()), dict)
    assert found is not None
    best, net = found
    noted = {record.metric for record in run.history}
    assert len(run.history) == 4
    assert best.metric == max(noted) == accuracy(net, data)


def test_a_resumed_retraining_does_not_train_again_but_for_the_weights(tmp_path):
    space, data = Space(TinyNet), tiny_data()
    first = Run("test", 1, default_units=1, path=tmp_path / "a")
    fit = FitOptions(epochs=1)
    whole = Retraining(space, data, 3, fit).run(first, candidates(3), Judge(Unused()), dict)
    second = Run("test", 1, default_units=1, path=tmp_path / "a", resume=True)
    again = Retraining(space, data, 3, fit).run(second, candidates(3), Judge(Unused()), dict)
    assert whole is not None and again is not None
    assert second.history == first.history
    assert again[0] == whole[0]
    assert accuracy(again[1], data) == accuracy(whole[1], data)


@pytest.mark.parametrize("stopped_by", ["callback", "interrupted", "time"])
def test_nothing_is_retrained_when_the_search_was_ended(stopped_by):
    run = Run("test", "1s", default_units=1)
    if stopped_by != "time":
        run.stopped_by = stopped_by
    else:
        run.seconds = 1e-9
    space, data = Space(TinyNet), tiny_data()
    result = finish(run, space, data, candidates(2), Judge(Unused()), dict, top=2)
    assert isinstance(result, NASResult)
    assert result.best_arch == ARCHS[0] and result.history == []


def test_without_a_candidate_an_architecture_is_drawn():
    run, space = Run("test", 1, default_units=1, seed=3), Space(TinyNet)
    result = finish(run, space, tiny_data(), [], Judge(Unused()), dict)
    assert space.validate(result.best_arch) == result.best_arch
    assert result.metric is None
