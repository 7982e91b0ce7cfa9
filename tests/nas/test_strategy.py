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
