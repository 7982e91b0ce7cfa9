"""Runs and budgets, by a strategy as small as one can be: random architectures, trained."""

import pytest
import torch

from autodl.errors import JournalError, OptionError
from autodl.nas import Budget, FitOptions, Run, Trained, Uniform
from autodl.rng import torch_generator
from autodl.testing.nas_strategies import StrategyContract


class RandomSearch:
    def search(
        self,
        space,
        data,
        *,
        objective=None,
        cost=None,
        budget=None,
        seed=0,
        callbacks=(),
        path=None,
        resume=False,
    ):
        run = Run("random", budget, default_units=4, seed=seed, callbacks=callbacks, path=path, resume=resume)
        evaluator = Trained(space, data, FitOptions(epochs=1), seed=seed)
        distribution, generator = Uniform(space), torch_generator(seed, "archs")
        if run.restored:
            generator.set_state(run.restored["generator"])
        for _ in run.steps():
            arch = distribution.sample(generator)
            run.record(arch, evaluator.evaluate(arch).metric)
            run.save(lambda: {"generator": generator.get_state()})
        best = max(run.history, key=lambda record: record.metric)
        return run.result(best.arch, evaluator.train(best.arch), metric=best.metric)


class TestRandomSearch(StrategyContract):
    def make(self):
        return RandomSearch()


def test_budgets():
    assert (
        Budget.of(None) == Budget() and Budget.of(7) == Budget(7) and Budget.of("2min") == Budget(None, 120)
    )
    with pytest.raises(OptionError, match="units"):
        Budget(0)
    with pytest.raises(OptionError, match="seconds"):
        Budget(None, 0.0)


def test_progress_counts_units():
    run = Run("mine", 4, default_units=9)
    assert [(step, run.progress) for step in run.steps()] == [(0, 0), (1, 0.25), (2, 0.5), (3, 0.75)]
    assert run.progress == 1
    assert Run("mine", None, default_units=9).units == 9


def test_another_search_is_not_resumed(tmp_path):
    run = Run("mine", 4, default_units=4, path=tmp_path)
    for _ in run.steps():
        run.save(lambda: {"x": torch.ones(2)})
        break
    with pytest.raises(JournalError, match="'mine' with seed 0, not by 'other' with seed 0"):
        Run("other", 4, default_units=4, path=tmp_path, resume=True)
    found = Run("mine", 4, default_units=4, path=tmp_path, resume=True)
    assert list(found.steps()) == [1, 2, 3] and torch.equal(found.restored["x"], torch.ones(2))


def test_a_time_alone_is_the_limit_however_many_units_it_takes(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("autodl.nas.strategy.time.perf_counter", lambda: now[0])

    def seconds(budget, time_share=1.0):
        now[0] = 0.0
        run = Run("mine", budget, default_units=3)
        for _ in run.steps(time_share):
            now[0] += 1.0
        return now[0], run.stopped_by

    assert seconds(Budget(seconds=10.0)) == (10.0, "time")
    assert seconds("10s", 0.5) == (5.0, "time")
    assert seconds(Budget(2, 10.0)) == (2.0, "budget")
    assert seconds(Budget(50, 10.0)) == (10.0, "time")
    assert seconds(None) == (3.0, "budget")


def test_schedules_follow_what_is_spent_of_the_budget(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("autodl.nas.strategy.time.perf_counter", lambda: now[0])
    both, timed, units = (Run("mine", b, default_units=4) for b in (Budget(4, 10.0), "10s", 4))
    now[0] = 2.0
    assert [run.spent(1) for run in (both, timed, units)] == [0.25, 0.2, 0.25]
    assert [run.spent(3.0) for run in (both, timed, units)] == [0.75, 0.2, 0.75]
    assert timed.spent(0, time_share=0.5) == 0.4
    now[0] = 20.0
    assert [run.spent(1) for run in (both, timed, units)] == [1.0, 1.0, 0.25]


def test_a_search_resumed_in_a_later_phase_does_no_more_of_the_first(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("autodl.nas.strategy.time.perf_counter", lambda: now[0])
    run = Run("mine", "10s", default_units=4, path=tmp_path)
    for _ in run.steps(0.8):
        now[0] += 3.0
        run.save(dict)
    assert now[0] == 9.0
    again = Run("mine", "10s", default_units=4, path=tmp_path, resume=True)
    assert list(again.steps(0.8)) == [] and not again.is_over
