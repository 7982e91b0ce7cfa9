"""Single-path one-shot: train one super-net along random paths, then search in it by evolution.

Source: Guo et al., "Single Path One-Shot Neural Architecture Search with Uniform Sampling", 2020.
"""

from __future__ import annotations

from typing import Any

import torch

from autodl.checks import check_whole
from autodl.nas.data import NASData
from autodl.nas.decisions import Arch
from autodl.nas.evaluators import Evaluator, arch_key
from autodl.nas.fitting import FitOptions
from autodl.nas.judge import Judge
from autodl.nas.objectives import Constraint
from autodl.nas.one_shot_search import OneShotSearch, one_shot_search
from autodl.nas.population import Population
from autodl.nas.result import NASResult
from autodl.nas.shared_training import Scoring, fair_archs
from autodl.nas.space import Space
from autodl.rng import torch_generator

MAX_TRIES = 50  # children drawn in search of one that was not scored yet


class SinglePath:
    """One super-net for all architectures; units of a budget are its epochs.

    Args:
        fit: how the super-net is trained.
        fair: each step takes every choice equally often (FairNAS), at the cost of as many forward
            passes as a decision has choices; False: one uniformly drawn architecture a step.
        evaluations: architectures scored in the super-net; a space that has no more is scored whole.
        population: members of the evolution.
        recalibration: minibatches for each architecture's statistics of batch normalisation; 0 ranks
            architectures far worse.
        retrain_top: best architectures that are trained from scratch in the end, the best of which is
            the result: the super-net's own favourite often is not. 0: none, and the network of the
            result has the super-net's weights.
        retrain_fit: how.
    """

    name = "single_path"

    def __init__(
        self,
        fit: FitOptions | None = None,
        *,
        fair: bool = False,
        evaluations: int = 200,
        population: int = 50,
        recalibration: int = 4,
        retrain_top: int = 8,
        retrain_fit: FitOptions | None = None,
    ) -> None:
        check_whole("evaluations", evaluations)
        check_whole("population", population, 2)
        check_whole("recalibration", recalibration, 0)
        check_whole("retrain_top", retrain_top, 0)
        self.fit = fit or FitOptions(epochs=120)
        self.fair, self.evaluations, self.population = fair, evaluations, population
        self.recalibration, self.retrain_top, self.retrain_fit = recalibration, retrain_top, retrain_fit

    def search(self, space: Space, data: NASData | Evaluator, **settings: Any) -> NASResult:
        """See `autodl.nas.strategy.Strategy.search`."""
        return one_shot_search(self, space, data, **settings)

    def learner(self, space: Space, seed: int) -> None:
        """Nothing learns but the weights."""

    def draw(self, search: OneShotSearch, generator: torch.Generator) -> list[Arch]:
        """A uniform path, or fair ones."""
        return fair_archs(search.space, generator) if self.fair else [search.space.sample(generator)]

    def after_epoch(self, search: OneShotSearch, epoch: int, loss: float) -> None:
        """Note the loss."""
        search.run.record(None, phase="training", train_loss=loss)

    def score(self, search: OneShotSearch, score: Scoring) -> None:
        """All architectures of a small space, else those that evolution comes to."""
        if search.space.size() > self.evaluations:
            self._evolve(search, score)
            return
        archs = list(search.space.enumerate())
        for arch in [arch for arch in archs if _is_within(search.judge, arch)] or archs:
            score(arch)
            if search.is_over:
                return

    def _evolve(self, search: OneShotSearch, score: Scoring) -> None:
        members = min(self.population, max(2, self.evaluations // 4))
        population = Population(
            search.space,
            members,
            parents=max(2, members // 5),
            crossover=0.5,
            removal="worst",
            accept=lambda arch: _is_within(search.judge, arch),
        )
        seen: set[str] = set()
        for number in range(self.evaluations):
            # Drawn from the number: a resumed search breeds what an unbroken one would have.
            generator = torch_generator(search.seed, "evolution", number)
            children = (population.sample(generator) for _ in range(MAX_TRIES))
            child = next((arch for arch in children if arch_key(arch) not in seen), None)
            if child is None:
                return
            seen.add(arch_key(child))
            population.add(child, score(child))
            if search.is_over:
                return


def _is_within(judge: Judge, arch: Arch) -> bool:
    """Whether an architecture keeps a `Constraint`; where there is none, it does."""
    if not isinstance(judge.objective, Constraint):
        return True
    cost = judge.cost_of(arch)
    return cost is None or cost <= judge.objective.limit
