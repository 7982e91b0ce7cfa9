"""Any searcher on several metrics: each proposal is after another mixture of them."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from autodl.errors import OptionError
from autodl.objectives import Goals, squashed
from autodl.rng import derive_seed
from autodl.searchers.bayesian import BayesianSearcher
from autodl.searchers.binding import Binding, bound
from autodl.searchers.ehvi import EHVISearcher
from autodl.searchers.gp import GPSearcher
from autodl.searchers.grid_search import GridSearcher
from autodl.searchers.protocol import BindableSearcher, GoalSearcher, Searcher
from autodl.searchers.random_search import RandomSearcher
from autodl.searchers.registry import get_searcher
from autodl.searchers.sobol import SobolSearcher
from autodl.searchers.tpe import TPESearcher
from autodl.spaces.search_space import SearchSpace
from autodl.trial import Config, Report, TrialState

METHODS = ("chebyshev", "hypervolume")
_SECOND = 0.05  # weight of the plain sum in the augmented Chebyshev function, as in ParEGO
_MODELLING = (BayesianSearcher, TPESearcher)
_MARGIN = 0.1  # how far the hypervolume's reference lies below the worst seen, in ranges


class ScalarisedSearcher:
    """Lets a searcher that knows one score work on several metrics.

    Before each proposal weights are drawn at random, all reports so far are scored by them, and a
    fresh copy of the searcher learns those scores and proposes. Over the proposals, the weights
    reach every part of the Pareto front, whatever its shape. The searcher must therefore be one
    that learns from trials it did not propose itself: all of autodl's that model the score do.

    Source: J. Knowles, "ParEGO: A Hybrid Algorithm with On-Line Landscape Approximation for
    Expensive Multiobjective Optimization Problems" (2006), section III; D. Golovin, Q. Zhang,
    "Random Hypervolume Scalarizations for Provable Multi-Objective Black Box Optimization" (2020),
    definition 1. We rescale by the range seen so far at every proposal, and draw weights from the
    whole simplex instead of a lattice.

    Args:
        searcher: a searcher, or its name; copied, never changed.
        method: ``"chebyshev"`` (ParEGO's augmented Chebyshev function) or ``"hypervolume"``.

    Raises:
        OptionError: no such method.
    """

    def __init__(self, searcher: str | Searcher = "gp", method: str = "chebyshev") -> None:
        if method not in METHODS:
            raise OptionError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
        self.searcher = get_searcher(searcher)
        self.method = method
        self._goals: Goals | None = None
        self._binding: Binding | None = None
        self._reports: list[Report] = []
        self._tried: dict[int, Config] = {}  # by trial, reported or not
        self._skipped: list[Config] = []

    def bind_objectives(self, goals: Goals) -> None:
        """See `autodl.searchers.protocol.GoalSearcher.bind_objectives`."""
        self._goals = goals

    def bind(self, space: SearchSpace, *, seed: int) -> None:
        """See `autodl.searchers.protocol.BindableSearcher.bind`."""
        self._binding = Binding(space, seed)

    def skip(self, configs: Iterable[Config]) -> None:
        """Do not propose these: they are tried anyway."""
        self._skipped.extend(configs)

    def suggest(self, trial_id: int) -> Config | None:
        """What a copy of the searcher proposes that is after this trial's mixture of metrics."""
        binding = bound(self._binding, self)
        inner = copy.deepcopy(self.searcher)
        if isinstance(inner, BindableSearcher):
            inner.bind(binding.space, seed=binding.seed)
        skip = getattr(inner, "skip", None)
        if callable(skip):
            skip([*self._skipped, *self._tried.values()])
        for report in self._rescored(trial_id):
            inner.observe(report)
        reported = {report.trial_id for report in self._reports}
        for running, config in self._tried.items():
            if running not in reported:  # as any trial that has measured nothing yet
                inner.observe(Report(running, config, TrialState.RUNNING, 0, None, None))
        proposed = inner.suggest(trial_id)
        if proposed is not None:
            self._tried[trial_id] = proposed
        return proposed

    def observe(self, report: Report) -> None:
        """Keep a measurement; a failed trial's too."""
        self._tried.setdefault(report.trial_id, report.config)
        self._reports.append(report)

    def _rescored(self, trial_id: int) -> list[Report]:
        """All reports as a run on one score would have given them."""
        scores = [self._scores(report) for report in self._reports]
        known = np.array([s for s in scores if s is not None], dtype=np.float64)
        if len(known) == 0:
            return list(self._reports)
        sound = np.array(
            [
                report.violation <= 0.0
                for report, s in zip(self._reports, scores, strict=True)
                if s is not None
            ]
        )
        seed = derive_seed(bound(self._binding, self).seed, "weights", trial_id)
        if known.shape[1] == 1:
            mixed = known[:, 0]
        else:
            # Squares of a direction that is uniform on the sphere, or weights uniform on the simplex.
            concentration = 0.5 if self.method == "hypervolume" else 1.0
            weights = np.random.default_rng(seed).dirichlet(np.full(known.shape[1], concentration))
            mixed = scalarise(known, weights, self.method, known[sound] if sound.any() else known)
        ranked = mixed[sound] if sound.any() else mixed
        worst, span = float(ranked.min()), float(np.ptp(ranked)) or float(np.ptp(mixed)) or 1.0
        following = iter(mixed)
        return [
            report if s is None else _with_score(report, float(next(following)), worst, span)
            for report, s in zip(self._reports, scores, strict=True)
        ]

    def _scores(self, report: Report) -> tuple[float, ...] | None:
        if report.score is None or not math.isfinite(report.score):
            return None
        return (report.score,) if self._goals is None else self._goals.scores(report.metrics)

    def __repr__(self) -> str:
        return f"ScalarisedSearcher({self.searcher!r}, method={self.method!r})"


def scalarise(
    scores: NDArray[np.float64], weights: NDArray[np.float64], method: str, known: NDArray[np.float64]
) -> NDArray[np.float64]:
    """One number for several, larger is better.

    Args:
        scores: (n, m), larger is better.
        weights: (m,), >= 0, summing to 1.
        method: one of `METHODS`.
        known: (k, m), the scores whose ranges make coordinates comparable.

    Returns:
        (n,).
    """
    low, high = known.min(axis=0), known.max(axis=0)
    shares = (scores - low) / np.where(high > low, high - low, 1.0)
    if method == "hypervolume":
        # The hypervolume is the average over directions that are uniform on the sphere.
        direction = np.sqrt(weights) + 1e-9
        reached: NDArray[np.float64] = ((shares + _MARGIN) / direction).min(axis=1)
        return reached
    short = weights * (shares - 1.0)  # how far from the best seen: <= 0
    mixed: NDArray[np.float64] = short.min(axis=1) + _SECOND * short.sum(axis=1)
    return mixed


def _with_score(report: Report, score: float, worst: float, span: float) -> Report:
    """Scored; one that misses a constraint lands below all that keep them, the lower the more it misses."""
    if report.violation > 0.0:
        score = worst - span * (0.1 + squashed(report.violation))
    return dataclasses.replace(report, value=score, score=score)


def for_goals(searcher: Searcher, goals: Goals) -> Searcher:
    """The searcher itself if it can serve the goals, or learns nothing anyway; else one that lets it.

    A Gaussian process for one or two metrics becomes `EHVISearcher`, which is the same with a model
    for each of them. With one metric and constraints other searchers that model the score are
    helped too: what they were told of a config that misses a constraint is put right as more is
    known. All others are told a low score once.
    """
    if goals.is_simple or isinstance(searcher, (GoalSearcher, RandomSearcher, GridSearcher, SobolSearcher)):
        return searcher
    if isinstance(searcher, GPSearcher) and len(goals.objectives) <= 2:
        return EHVISearcher(searcher.num_initial, max_observations=searcher.max_observations)
    if len(goals.objectives) == 1 and not isinstance(searcher, _MODELLING):
        return searcher
    return ScalarisedSearcher(searcher)
