"""Multi-trial search by a controller: draw architectures, evaluate each by itself, learn from rewards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Unpack

import torch
from torch import Tensor

from autodl.nas.controller_learner import ControllerLearner, ControllerOptions
from autodl.nas.costs import Cost
from autodl.nas.data import NASData
from autodl.nas.decisions import Arch
from autodl.nas.evaluators import Evaluator
from autodl.nas.fitting import FitOptions
from autodl.nas.judge import Judge, as_evaluator
from autodl.nas.objectives import Objective
from autodl.nas.result import NASResult
from autodl.nas.retrain import finish, ranking, search_share
from autodl.nas.space import Space
from autodl.nas.strategy import Run, RunSettings
from autodl.rng import torch_generator

SETTLED = 200
"""Draws in a row without a new architecture, after which a search that only time bounds is over."""


class ControllerMethod(Protocol):
    """What makes a method."""

    name: str
    options: ControllerOptions
    fit: FitOptions | None
    trials: int
    retrain_top: int

    def update(self, learner: ControllerLearner, archs: Sequence[Arch], advantages: Tensor) -> None:
        """Move the controller by a batch that it drew."""


class ControllerSearch:
    """One search in the making.

    Args:
        method: what moves the controller.
        space: of the architectures.
        seed: of everything random.

    Attributes:
        learner: the controller and what moves it.
    """

    def __init__(self, method: ControllerMethod, space: Space, seed: int) -> None:
        self.method, self.seed = method, seed
        self.learner = ControllerLearner(method.options, space, seed)
        self._waiting: list[tuple[Arch, float]] = []
        self._repeated = 0

    def run(self, run: Run, judge: Judge) -> None:
        """Draw and learn until the budget is spent; where it is time alone, or the controller settled."""
        if run.restored is not None:
            self.learner.load(run.restored)
            self._waiting = [(dict(arch), reward) for arch, reward in run.restored["waiting"]]
            self._repeated = run.restored["repeated"]
            judge.remember(run.history)
        options = self.method.options
        for step in run.steps(search_share(self.method.retrain_top)):
            # Drawn from the step's number: a resumed search draws what an unbroken one would have.
            arch = self.learner.controller.sample(torch_generator(self.seed, "controller", step))
            self._repeated = self._repeated + 1 if judge.knows(arch) else 0
            made = judge(arch)
            self._waiting.append((arch, options.powered(made.reward)))
            run.record(arch, made.metric, made.cost, reward=made.reward)
            if len(self._waiting) == options.batch:
                self._learn()
            run.save(self.state)
            if run.is_timed and self._repeated >= SETTLED:
                break

    def _learn(self) -> None:
        archs, rewards = zip(*self._waiting, strict=True)
        self._waiting = []
        advantages = torch.tensor(self.learner.baseline.advantages(rewards))
        self.method.update(self.learner, archs, advantages)

    def state(self) -> dict[str, Any]:
        """To resume from."""
        waiting = [[arch, reward] for arch, reward in self._waiting]
        return self.learner.state() | {"waiting": waiting, "repeated": self._repeated}


def controller_search(
    method: ControllerMethod,
    space: Space,
    data: NASData | Evaluator,
    *,
    objective: Objective | None = None,
    cost: Cost | None = None,
    **settings: Unpack[RunSettings],
) -> NASResult:
    """Search with a controller; the budget's units are architectures. See `Strategy.search`."""
    evaluator = as_evaluator(space, data, method.fit, settings.get("seed", 0))
    judge = Judge(evaluator, objective=objective, cost=cost)
    run = Run(method.name, default_units=method.trials, **settings)
    search = ControllerSearch(method, space, run.seed)
    search.run(run, judge)
    found = ranking(r for r in run.history if "phase" not in r.extra)
    return finish(
        run,
        space,
        data,
        found,
        judge,
        search.state,
        top=method.retrain_top,
        fit=method.fit,
        probabilities=search.learner.probabilities(),
    )
