"""Regularised evolution: mutate the best of a few, and let the oldest die.

Source: E. Real, A. Aggarwal, Y. Huang, Q. V. Le, "Regularized Evolution for Image Classifier
Architecture Search" (AAAI 2019), algorithm 1. We depart in two points: numbers take steps besides
being drawn anew, and nobody waits, so that any number of trials may run.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

import numpy as np

from autodl.checks import check_whole, is_whole
from autodl.errors import OptionError
from autodl.searchers.binding import Binding, bound
from autodl.searchers.quasirandom import SobolPoints
from autodl.searchers.unseen import Unseen
from autodl.spaces import Bool, Categorical, UnitCubeCodec
from autodl.spaces.search_space import Parameter, SearchSpace
from autodl.trial import Config, Report, TrialState

_TRIES = 30  # children made before an untried config is drawn at random
_REDRAWN = 0.25  # share of mutated numbers that are drawn anew instead of taking a step
_STEP = 0.15  # standard deviation of a step, in ranges of the parameter


class EvolutionSearcher:
    """Mutates one parameter of the best of a few randomly chosen members; the oldest member dies.

    Ageing keeps a config that was good by luck from living on for ever. Needs no model: suggests
    in microseconds, after thousands of trials too. A mutated choice draws what its new branch
    holds; all else stays. Failed trials do not join. No config of a finite space is proposed
    twice, and one that is used up ends the search. Deterministic given the seed and the reports.

    Args:
        population_size: members that live; the first so many trials fill the space evenly (a
            scrambled Sobol sequence). The paper has 100, for 20,000 trials.
        sample_size: members that are drawn for each tournament; more is greedier. None: half of all
            (the paper has a quarter; with a few hundred trials greed pays).

    Raises:
        OptionError: fewer than 2 members, or a tournament of none or of more than there are.
    """

    def __init__(self, population_size: int = 20, sample_size: int | None = None) -> None:
        check_whole("population_size", population_size, 2)
        size = (population_size + 1) // 2 if sample_size is None else sample_size
        if not is_whole(size, 1) or size > population_size:
            raise OptionError(f"sample_size must be a whole number from 1 to population_size, got {size!r}")
        self.population_size = population_size
        self.sample_size = size
        self._binding: Binding | None = None

    def bind(self, space: SearchSpace, *, seed: int) -> None:
        """See `autodl.searchers.protocol.BindableSearcher.bind`."""
        self._binding = Binding(space, seed)
        self._codec = UnitCubeCodec(space)
        self._points = SobolPoints(self._codec.dim, seed)
        self._unseen = Unseen(space)
        self._known: set[int] = set()
        self._ended: set[int] = set()
        # Youngest last; maxlen is the ageing.
        self._population: deque[tuple[float, Config]] = deque(maxlen=self.population_size)

    def skip(self, configs: Iterable[Config]) -> None:
        """Do not propose these: they are tried anyway."""
        for config in configs:
            self._unseen.see(config)

    def suggest(self, trial_id: int) -> Config | None:
        """A mutant of a good member; None: a finite space is used up."""
        rng = bound(self._binding, self).rng(trial_id)
        if self._unseen.used_up:
            return None
        is_young = len(self._known) < self.population_size or not self._population
        config = self._initial(trial_id) if is_young else self._child(rng)
        if config is None or config not in self._unseen:
            config = self._unseen.draw(rng)
        if config is not None:
            self._unseen.see(config)
            self._known.add(trial_id)
        return config

    def observe(self, report: Report) -> None:
        """The end of a trial makes it a member, unless it failed."""
        if report.trial_id not in self._known:  # a trial someone else proposed
            self._known.add(report.trial_id)
            self._unseen.see(report.config)
        if not report.state.ended or report.trial_id in self._ended:
            return
        self._ended.add(report.trial_id)
        score = report.score
        if score is not None and math.isfinite(score) and report.state is not TrialState.FAILED:
            self._population.append((score, report.config))

    def _initial(self, trial_id: int) -> Config | None:
        point = None if trial_id < 0 else self._points.point(trial_id)
        return None if point is None else self._codec.decode(point)

    def _child(self, rng: np.random.Generator) -> Config | None:
        """A mutant that was not tried yet; None: none was found."""
        space = bound(self._binding, self).space
        config: Config | None = None
        for _ in range(_TRIES):
            config = mutated(space, self._parent(rng) if config is None else config, rng)
            if config is None or config in self._unseen:
                return config
            if rng.random() < 0.5:  # all around may have been tried: half of the time go a step farther
                config = None
        return None

    def _parent(self, rng: np.random.Generator) -> Config:
        """The best of a tournament, the youngest of equals."""
        size = min(self.sample_size, len(self._population))
        drawn = rng.choice(len(self._population), size, replace=False)
        winner = max(drawn.tolist(), key=lambda i: (self._population[i][0], i))
        return self._population[winner][1]

    def __repr__(self) -> str:
        return f"EvolutionSearcher(population_size={self.population_size}, sample_size={self.sample_size})"


def mutated(space: SearchSpace, config: Config, rng: np.random.Generator) -> Config | None:
    """A config that differs in one parameter, and in what hangs on it.

    Args:
        space: what both configs belong to.
        config: the parent.
        rng: decides which parameter, and what it becomes.

    Returns:
        The child; None if no active parameter has another value.
    """
    can_vary = [p for p in space.parameters if p.label in config and p.domain.size != 1]
    if not can_vary:
        return None
    parameter = can_vary[int(rng.integers(len(can_vary)))]
    kept = {**config, parameter.label: _other_value(parameter, config, rng)}
    return space.sample(rng, given=kept)


def _other_value(
    parameter: Parameter, config: Config, rng: np.random.Generator
) -> int | float | bool | str | None:
    domain, value = parameter.domain, config[parameter.label]
    if isinstance(domain, Bool | Categorical):
        others = [other for other in domain.values() if type(other) is not type(value) or other != value]
        return others[int(rng.integers(len(others)))]
    while True:
        if rng.random() < _REDRAWN:
            other = domain.sample(rng)
        else:
            width = max(_STEP, 1.0 / (domain.size or math.inf))  # at least as far as the next integer
            step = domain.to_unit(value) + rng.normal(0.0, width)
            other = domain.from_unit(-step if step < 0.0 else 2.0 - step if step > 1.0 else step)
        if other != value:
            return other
