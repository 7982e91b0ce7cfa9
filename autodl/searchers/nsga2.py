"""NSGA-II: evolves a population along the Pareto front of several metrics.

Source: K. Deb, A. Pratap, S. Agarwal, T. Meyarivan, "A Fast and Elitist Multiobjective Genetic
Algorithm: NSGA-II" (IEEE TEC 2002); crossover and mutation of numbers by K. Deb, R. B. Agrawal,
"Simulated Binary Crossover for Continuous Search Space" (1995). We depart in one point: nobody
waits for a generation. Each trial that ends joins the population at once, and the worst leaves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autodl.checks import check_whole
from autodl.errors import OptionError
from autodl.objectives import Goals
from autodl.pareto import crowding_distance, front_ranks
from autodl.searchers.binding import Binding, bound
from autodl.searchers.features import Features, Rows
from autodl.searchers.unseen import Unseen
from autodl.spaces.search_space import SearchSpace
from autodl.trial import Config, Report, TrialState

_CROSSED = 0.9  # share of children with two parents
_SPREAD_CROSSOVER = 10.0  # distribution index: higher keeps children closer to their parents
_SPREAD_MUTATION = 15.0
_TRIES = 20  # children made before an untried config is drawn at random


@dataclass(frozen=True, slots=True)
class _Member:
    """A trial that ended: row (dim,), scores by objective, larger is better."""

    row: Rows
    scores: tuple[float, ...]
    violation: float


class NSGA2Searcher:
    """Breeds configs from those that no other beats, preferring the lonely ones among them.

    Members that miss constraints come after all that keep them, by how much they miss
    (constraint domination). With one metric it is an elitist genetic algorithm. Any number of
    trials may run; no config is proposed twice, and a finite space that is used up ends the
    search.

    Args:
        population_size: members that breed; the first so many trials are drawn at random.
        mutation: probability that a parameter of a child is changed; None: one of them on average.

    Raises:
        OptionError: fewer than 2 members; a probability outside (0, 1].
    """

    def __init__(self, population_size: int = 20, *, mutation: float | None = None) -> None:
        check_whole("population_size", population_size, 2)
        if mutation is not None and not 0.0 < mutation <= 1.0:
            raise OptionError(f"mutation must be a probability above 0, got {mutation!r}")
        self.population_size = population_size
        self.mutation = mutation
        self._goals: Goals | None = None
        self._binding: Binding | None = None

    def bind_objectives(self, goals: Goals) -> None:
        """See `autodl.searchers.protocol.GoalSearcher.bind_objectives`."""
        self._goals = goals

    def bind(self, space: SearchSpace, *, seed: int) -> None:
        """See `autodl.searchers.protocol.BindableSearcher.bind`."""
        self._binding = Binding(space, seed)
        self._features = Features(space)
        self._unseen = Unseen(space)
        self._population: list[_Member] = []
        self._ranks: tuple[NDArray[np.float64], Rows] | None = None
        self._ended: set[int] = set()

    def skip(self, configs: Iterable[Config]) -> None:
        """Do not propose these: they are tried anyway."""
        for config in configs:
            self._unseen.see(config)

    def suggest(self, trial_id: int) -> Config | None:
        """A child of two good members; None: a finite space is used up."""
        rng = bound(self._binding, self).rng(trial_id)
        if self._unseen.used_up:
            return None
        is_young = trial_id < self.population_size or len(self._population) < 2
        config = None if is_young or not self._features.dim else self._bred(rng)
        if config is None:
            return self._unseen.draw(rng)
        self._unseen.see(config)
        return config

    def observe(self, report: Report) -> None:
        """The end of a trial makes it a member, unless it failed."""
        self._unseen.see(report.config)
        if not report.state.ended or report.trial_id in self._ended:
            return
        self._ended.add(report.trial_id)
        scores = self._scores(report)
        if scores is None or report.state is TrialState.FAILED:
            return
        self._population.append(_Member(self._features.encode(report.config), scores, report.violation))
        self._ranks = None
        if len(self._population) > self.population_size:
            ranks, crowding = self._ranked()
            worst = np.lexsort((crowding, -ranks))[0]
            del self._population[int(worst)]
            self._ranks = None

    def _scores(self, report: Report) -> tuple[float, ...] | None:
        if report.score is None or not math.isfinite(report.score):
            return None
        return (report.score,) if self._goals is None else self._goals.scores(report.metrics)

    def _ranked(self) -> tuple[NDArray[np.float64], Rows]:
        """Front of each member, lower is better, and its crowding distance, higher is better."""
        if self._ranks is None:
            violations = np.array([member.violation for member in self._population])
            scores = np.array([member.scores for member in self._population])
            sound = violations <= 0.0
            # Beyond all fronts there can be: by violation alone.
            ranks = len(violations) + np.searchsorted(np.unique(violations), violations).astype(np.float64)
            ranks[sound] = front_ranks(scores[sound])
            crowding = np.zeros(len(ranks))
            for rank in np.unique(ranks):
                crowding[ranks == rank] = crowding_distance(scores[ranks == rank])
            self._ranks = ranks, crowding
        return self._ranks

    def _bred(self, rng: np.random.Generator) -> Config | None:
        """A child that was not tried yet; None: none was found."""
        for _ in range(_TRIES):
            mother, father = self._parent(rng), self._parent(rng)
            child = self._crossed(mother, father, rng) if rng.random() < _CROSSED else mother
            row = self._features.canonical(self._mutated(child, rng)[None])[0][0]
            config = self._features.decode(row)
            if config in self._unseen:
                return config
        return None

    def _parent(self, rng: np.random.Generator) -> Rows:
        """The better of two members drawn at random."""
        ranks, crowding = self._ranked()
        pair = rng.choice(len(ranks), 2, replace=False)
        winner = min(pair, key=lambda i: (ranks[i], -crowding[i]))
        return self._population[int(winner)].row

    def _crossed(self, mother: Rows, father: Rows, rng: np.random.Generator) -> Rows:
        """Simulated binary crossover along numbers, one parent's value elsewhere: (dim,)."""
        draw = rng.random(len(mother))
        power = 1.0 / (_SPREAD_CROSSOVER + 1.0)
        spread = np.where(draw <= 0.5, (2.0 * draw) ** power, (0.5 / (1.0 - draw)) ** power)
        sign = np.where(rng.random(len(mother)) < 0.5, 1.0, -1.0)
        between = 0.5 * (mother + father) + sign * 0.5 * spread * (mother - father)
        either = np.where(rng.random(len(mother)) < 0.5, mother, father)
        takes_either = self._features.is_unordered | (rng.random(len(mother)) < 0.5)
        child: Rows = np.clip(np.where(takes_either, either, between), 0.0, 1.0)
        return child

    def _mutated(self, child: Rows, rng: np.random.Generator) -> Rows:
        """Polynomial mutation of numbers; choices are drawn anew: (dim,)."""
        count = len(child)
        changed = rng.random(count) < (1.0 / count if self.mutation is None else self.mutation)
        draw = rng.random(count)
        power = 1.0 / (_SPREAD_MUTATION + 1.0)
        step = np.where(draw < 0.5, (2.0 * draw) ** power - 1.0, 1.0 - (2.0 * (1.0 - draw)) ** power)
        moved = np.where(self._features.is_unordered, rng.random(count), child + step)
        mutated: Rows = np.clip(np.where(changed, moved, child), 0.0, 1.0)
        return mutated

    def __repr__(self) -> str:
        return f"NSGA2Searcher(population_size={self.population_size})"
