"""Covariance matrix adaptation: a normal distribution walks to the optimum.

Sources: N. Hansen, "The CMA Evolution Strategy: A Tutorial" (2016); restarts: A. Auger,
N. Hansen, "A Restart CMA Evolution Strategy With Increasing Population Size" (CEC 2005); steps
out of a bin, as a mutation of the sample: after R. Hamano et al., "CMA-ES with Margin"
(GECCO 2022).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from autodl.checks import is_whole
from autodl.errors import OptionError
from autodl.rng import derive_seed
from autodl.searchers.binding import Binding, bound
from autodl.searchers.cma import CMA
from autodl.searchers.features import Features, Rows
from autodl.searchers.unseen import Unseen
from autodl.spaces.search_space import SearchSpace
from autodl.trial import Config, Report

_LEAST_STEP = 1e-7  # of a parameter's range: as good as standing still
_ONE_BIN = 2  # edges
_FLAT = 10  # generations without a difference between losses
_REDRAWS = 20  # samples outside the cube before the last is clipped to it


class CMAESSearcher:
    """Moves a normal distribution over the unit cube towards the better trials (CMA-ES).

    For many trials (hundreds and more) of problems whose parameters are mostly numbers and depend
    on each other; proposals cost next to nothing. Learns from the end of a trial; failed ones
    count as the worst. A generation closes when as many trials as it has places have ended,
    whichever they are, so no worker ever waits: further proposals come from the distribution as
    it is. Given points and earlier trials pull the distribution as its own samples do. Integers
    and choices are bins of a continuous coordinate, and a sample changes bin now and then however
    small the steps are; inactive parameters keep their coordinate. Once it has converged it
    starts anew elsewhere with twice the population. In a finite space no config is proposed
    twice.

    Args:
        population: trials of a generation, >= 4; None: 4 + 3 ln(number of parameters).
        sigma: first standard deviation, as a fraction of each parameter's range.

    Raises:
        OptionError: a value out of range.
    """

    def __init__(self, population: int | None = None, *, sigma: float = 1 / 6) -> None:
        if population is not None and not is_whole(population, 4):
            raise OptionError(f"population must be a whole number >= 4 or None, got {population!r}")
        if isinstance(sigma, bool) or not isinstance(sigma, int | float) or not 0 < sigma <= 1:
            raise OptionError(f"sigma must be a number in (0, 1], got {sigma!r}")
        self.population = population
        self.sigma = float(sigma)
        self._binding: Binding | None = None

    def bind(self, space: SearchSpace, *, seed: int) -> None:
        """See `autodl.searchers.protocol.BindableSearcher.bind`."""
        self._binding = Binding(space, seed)
        self._features = Features(space)
        self._unseen = Unseen(space)
        edges = enumerate(self._features.edges)
        self._binned = [(column, bins) for column, bins in edges if bins is not None and len(bins) > _ONE_BIN]
        self._points: dict[int, Rows] = {}  # of trials that run
        self._ended: set[int] = set()
        self._generation: list[tuple[int, Rows, float]] = []  # trial, point, loss (inf: failed)
        self._flat = self._restarts = 0
        dim = self._features.dim
        population = self.population or 4 + int(3 * math.log(max(dim, 1)))
        self._cma = CMA(np.full(dim, 0.5), self.sigma, population) if dim else None

    def skip(self, configs: Iterable[Config]) -> None:
        """Do not propose these: they are tried anyway."""
        for config in configs:
            self._unseen.see(config)

    def suggest(self, trial_id: int) -> Config | None:
        """A sample of the distribution; None: a finite space is used up."""
        rng = bound(self._binding, self).rng(trial_id)
        if self._unseen.used_up:
            return None
        point = self._sample(rng)
        config = self._features.decode(point)
        if config not in self._unseen:
            drawn = self._unseen.draw(rng)
            if drawn is None:
                return None
            config, point = drawn, self._features.encode(drawn)
        self._unseen.see(config)
        self._points[trial_id] = point
        return config

    def observe(self, report: Report) -> None:
        """Learn from the end of a trial."""
        if not report.state.ended or report.trial_id in self._ended:
            return
        self._ended.add(report.trial_id)
        point = self._points.pop(report.trial_id, None)
        if point is None:  # a trial someone else proposed
            point = self._features.encode(report.config)
            self._unseen.see(report.config)
        score = report.score
        is_known = score is not None and math.isfinite(score) and report.state != "failed"
        loss = -score if is_known and score is not None else math.inf
        self._generation.append((report.trial_id, point, loss))
        if self._cma is not None and len(self._generation) >= self._cma.population:
            self._close(self._cma)

    def _sample(self, rng: np.random.Generator) -> Rows:
        """A point inside the cube: (dim,)."""
        if self._cma is None:
            return np.empty(0)
        points = self._cma.sample(rng, _REDRAWS)
        inside = ((points >= 0) & (points <= 1)).all(axis=1)
        point: Rows = np.clip(points[int(np.argmax(inside)) if inside.any() else 0], 0.0, 1.0)
        return self._jumped(point, rng)

    def _jumped(self, point: Rows, rng: np.random.Generator) -> Rows:
        """The point with, once in a generation, an integer or a choice in another bin: (dim,).

        Without, a column whose deviation is far smaller than its bins would never change again.
        """
        chance = 1 / (self._cma.population * max(len(self._binned), 1)) if self._cma is not None else 0.0
        for column, edges in self._binned:
            if rng.random() >= chance:
                continue
            bins = len(edges) - 1
            now = min(int(np.searchsorted(edges, point[column], side="right")) - 1, bins - 1)
            if self._features.is_unordered[column]:
                to = (now + int(rng.integers(1, bins))) % bins
            else:
                to = now + (1 if now == 0 or (now < bins - 1 and rng.random() < 0.5) else -1)
            point[column] = (edges[to] + edges[to + 1]) / 2
        return point

    def _close(self, cma: CMA) -> None:
        """End a generation: move the distribution, or start anew once it stands still."""
        chosen = sorted(self._generation, key=lambda entry: entry[0])
        self._generation = []
        losses = np.array([loss for _, _, loss in chosen])
        if np.isinf(losses).all():  # nothing to tell them apart by
            return
        self._flat = self._flat + 1 if (losses == losses[0]).all() else 0
        cma.update(np.stack([point for _, point, _ in chosen]), losses)
        if self._flat >= _FLAT or cma.is_spent(_LEAST_STEP):
            self._flat, self._restarts = 0, self._restarts + 1
            seed = derive_seed(bound(self._binding, self).seed, "restart", self._restarts)
            mean = np.random.default_rng(seed).random(self._features.dim)
            self._cma = CMA(mean, self.sigma, cma.population * 2)

    def __repr__(self) -> str:
        return f"CMAESSearcher(population={self.population!r}, sigma={self.sigma!r})"
