from __future__ import annotations

import pytest

from autodl.errors import OptionError
from autodl.nas import FitOptions, Record, Space
from autodl.nas.evaluators import Evaluation, Trained
from autodl.nas.judge import Judge, as_evaluator
from autodl.nas.objectives import Constraint, Power
from autodl.nas.strategies.single_path import SinglePath
from autodl.testing.nas_strategies import TinyNet, tiny_data

ARCH = {"layer0": "conv", "layer1": "skip"}


class Counted:
    def __init__(self, cost=None):
        self.calls, self.told = 0, cost

    def evaluate(self, arch, *, resource=None):
        self.calls += 1
        return Evaluation(0.1 * self.calls + (resource or 0), cost=self.told)


class Priced:
    def cost(self, arch):
        return 4.0


def test_each_architecture_is_evaluated_once_a_resource():
    judge = Judge(Counted())
    assert judge(ARCH) == judge(dict(reversed(ARCH.items())))
    assert judge(ARCH, resource=5).metric == pytest.approx(5.2)
    assert judge.evaluator.calls == 2


def test_reward_is_the_objectives_with_the_cost_model_or_what_the_evaluator_told():
    made = Judge(Counted(cost=8.0), objective=Power(4.0, under=0.0, over=-1.0))(ARCH)
    assert (made.cost, made.reward) == (8.0, pytest.approx(0.05))
    made = Judge(Counted(cost=8.0), objective=Power(4.0, under=0.0, over=-1.0), cost=Priced())(ARCH)
    assert (made.cost, made.reward) == (4.0, pytest.approx(0.1))


def test_an_objective_without_a_cost_is_told_so():
    with pytest.raises(OptionError, match="Constraint counts a cost: pass cost="):
        Judge(Counted(), objective=Constraint(3.0))(ARCH)


def test_what_surely_lacks_a_cost_is_told_so_before_anything_is_trained():
    told = []
    with pytest.raises(OptionError, match="Constraint counts a cost: pass cost="):
        SinglePath(FitOptions(epochs=1)).search(
            Space(TinyNet), tiny_data(), objective=Constraint(3.0), callbacks=[told.append]
        )
    assert told == []


def test_a_resumed_search_knows_what_it_evaluated():
    judge = Judge(Counted())
    judge.remember([Record(0, ARCH, 0.7, None, 0.0), Record(1, None, None, None, 0.0)])
    assert judge(ARCH).metric == 0.7
    assert judge.evaluator.calls == 0


def test_images_become_an_evaluator_that_trains():
    space = Space(TinyNet)
    assert isinstance(as_evaluator(space, tiny_data()), Trained)
    with pytest.raises(OptionError, match="images \\(NASData\\) or an evaluator"):
        as_evaluator(space, 3)
