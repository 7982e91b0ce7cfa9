"""The course that one-shot methods share: train a super-net along drawn paths, score, retrain.

A method says which paths are trained (`OneShotMethod.draw`), what it does after an epoch, and which
architectures are scored in the end; time, records, resuming and retraining are here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Unpack

import torch

from autodl.errors import OptionError
from autodl.nas.controller_learner import ControllerLearner
from autodl.nas.costs import Cost
from autodl.nas.data import NASData
from autodl.nas.decisions import Arch
from autodl.nas.evaluators import Evaluator, SharedWeights
from autodl.nas.fitting import FitOptions
from autodl.nas.judge import Judge
from autodl.nas.objectives import Objective
from autodl.nas.result import NASResult
from autodl.nas.retrain import finish, ranking, search_share
from autodl.nas.shared_training import Scoring, SharedTraining
from autodl.nas.space import Space
from autodl.nas.strategy import Run, RunSettings

SCORING_SHARE = 0.1
"""Of a time limit, kept for scoring."""

PHASE = "scoring"


class OneShotMethod(Protocol):
    """What makes a one-shot method."""

    name: str
    fit: FitOptions
    recalibration: int
    retrain_top: int
    retrain_fit: FitOptions | None

    def learner(self, space: Space, seed: int) -> ControllerLearner | None:
        """What learns beside the weights; None: nothing."""

    def draw(self, search: OneShotSearch, generator: torch.Generator) -> Sequence[Arch]:
        """Architectures of one step of the weights."""

    def after_epoch(self, search: OneShotSearch, epoch: int, loss: float) -> None:
        """Note the epoch, with the weights' mean loss; learn."""

    def score(self, search: OneShotSearch, score: Scoring) -> None:
        """Score architectures with the final weights, until ``search.is_over``."""


class OneShotSearch:
    """One search in the making; methods use its attributes.

    Args:
        method: what runs.
        space: of the architectures.
        data: two disjoint parts.
        run: budget, history, state.
        objective: see `Strategy.search`.
        cost: see `Strategy.search`.

    Attributes:
        training: the super-net and what trains it.
        learner: the method's, or None.
        judge: scores architectures in the super-net.
    """

    def __init__(  # what `Strategy.search` takes
        self,
        method: OneShotMethod,
        space: Space,
        data: NASData,
        run: Run,
        *,
        objective: Objective | None,
        cost: Cost | None,
    ) -> None:
        self.method, self.space, self.run, self.seed = method, space, run, run.seed
        self.training = SharedTraining(space, data, method.fit, run.seed)
        self.learner = method.learner(space, run.seed)
        shared = SharedWeights(self.training.net, data, recalibration=method.recalibration, seed=run.seed)
        self.judge = Judge(shared, objective=objective, cost=cost)
        self._rest = search_share(method.retrain_top)
        if run.restored is not None:
            self.training.load(run.restored)
            if self.learner is not None:
                self.learner.load(run.restored)

    @property
    def is_over(self) -> bool:
        """Whether scoring must end: time for retraining is kept."""
        return self.run.ends(self._rest)

    def finish(self) -> NASResult:
        """Train, score, and give the best."""
        run, share = self.run, self._rest - SCORING_SHARE
        for epoch in run.steps(share):
            loss = self.training.epoch(
                epoch, lambda generator: self.method.draw(self, generator), run, time_share=share
            )
            self.method.after_epoch(self, epoch, loss)
            run.save(self.state)
        if run.stopped_by != "callback":
            self.method.score(self, Scoring(run, self.judge, PHASE))
        return finish(
            run,
            self.space,
            self.training.data,
            ranking(record for record in run.history if record.extra.get("phase") == PHASE),
            self.judge,
            self.state,
            top=self.method.retrain_top,
            fit=self.method.retrain_fit,
            supernet=self.training.net,
            probabilities=None if self.learner is None else self.learner.probabilities(),
        )

    def state(self) -> dict[str, Any]:
        """To resume from."""
        return self.training.state() | ({} if self.learner is None else self.learner.state())


def one_shot_search(
    method: OneShotMethod,
    space: Space,
    data: NASData | Evaluator,
    *,
    objective: Objective | None = None,
    cost: Cost | None = None,
    **settings: Unpack[RunSettings],
) -> NASResult:
    """Search with a one-shot method; the budget's units are epochs. See `Strategy.search`."""
    if not isinstance(data, NASData):
        raise OptionError(
            f"{method.name} trains a super-net and needs images (NASData), got {type(data).__name__}"
        )
    run = Run(method.name, default_units=method.fit.epochs, **settings)
    return OneShotSearch(method, space, data, run, objective=objective, cost=cost).finish()
