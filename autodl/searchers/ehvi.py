"""Bayesian optimisation of two metrics: expected hypervolume improvement, constraints by probability.

Sources: M. Emmerich, K. Yang, A. Deutz, H. Wang, C. Fonseca, "A Multicriteria Generalization of
Bayesian Global Optimization" (2016), for the improvement and its exact computation by strips;
J. Gardner et al., "Bayesian Optimization with Inequality Constraints" (ICML 2014), for the
product with the probability that all constraints are kept. With one metric both together are
Gardner's constrained expected improvement.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from autodl.checks import check_whole
from autodl.errors import OptionError
from autodl.objectives import Constraint, Goals
from autodl.pareto import non_dominated, reference_of
from autodl.searchers.binding import Binding, bound
from autodl.searchers.candidates import listed_rows
from autodl.searchers.features import Rows, stack
from autodl.searchers.gaussian_process import GaussianProcess
from autodl.searchers.gp_features import GPFeatures
from autodl.searchers.gp_fit import Hyperparameters, Priors, fit_hyperparameters
from autodl.searchers.gp_search import scattered_rows
from autodl.searchers.quasirandom import SobolPoints
from autodl.searchers.unseen import Unseen
from autodl.spaces.search_space import SearchSpace
from autodl.trial import Config, Report, TrialState

_LEAST = 3  # trials that a model is made of
_GOOD = 8  # trials whose neighbourhood is searched
_SCALES = (0.05, 0.02, 0.005)  # steps around the best candidates, round by round
_NEIGHBOURS = 30
_KEPT = 5
_FITTED = 150  # trials that hyper-parameters are fitted on
_FAR = 4.0  # standard deviations beyond which a bad value counts no worse
Vector = NDArray[np.float64]


class EHVISearcher:
    """Proposes where the Pareto front is expected to gain most, with a Gaussian process a metric.

    For one or two metrics and any number of constraints, each of which gets a model too. Learns
    from the end of trials; running ones count as if they came out as predicted. No config is
    proposed twice, and a finite space that is used up ends the search. For more metrics take
    `NSGA2Searcher` or `ScalarisedSearcher`.

    Args:
        num_initial: trials that fill the space evenly before the models are asked; None: by the
            number of parameters, 5 to 12.
        max_observations: the models know so many trials at most, the latest.

    Raises:
        OptionError: a number below 1; more than two metrics.
    """

    def __init__(self, num_initial: int | None = None, *, max_observations: int = 500) -> None:
        check_whole("num_initial", 1 if num_initial is None else num_initial)
        check_whole("max_observations", max_observations)
        self.num_initial = num_initial
        self.max_observations = max_observations
        self._goals: Goals | None = None
        self._binding: Binding | None = None

    def bind_objectives(self, goals: Goals) -> None:
        """See `autodl.searchers.protocol.GoalSearcher.bind_objectives`."""
        if len(goals.objectives) > 2:
            raise OptionError(
                f"the ehvi searcher takes one or two metrics, got {len(goals.objectives)}; use 'nsga2', or "
                "name another searcher, which is then scalarised"
            )
        self._goals = goals

    def bind(self, space: SearchSpace, *, seed: int) -> None:
        """See `autodl.searchers.protocol.BindableSearcher.bind`."""
        self._binding = Binding(space, seed)
        self._features = GPFeatures(space)
        self._unseen = Unseen(space)
        self._points = SobolPoints(self._features.dim, seed)
        self._pending: dict[int, Rows] = {}
        self._ended: dict[int, tuple[Rows, Vector | None]] = {}
        self._fits: dict[int, tuple[int, Hyperparameters]] = {}
        self._start_size = self.num_initial or int(np.clip(2 * self._features.dim + 1, 5, 12))

    def skip(self, configs: Iterable[Config]) -> None:
        """Do not propose these: they are tried anyway."""
        for config in configs:
            self._unseen.see(config)

    def observe(self, report: Report) -> None:
        """Learn from the end of a trial; a measurement on the way only tells that it runs."""
        if report.trial_id in self._ended:
            return
        self._unseen.see(report.config)
        row = self._features.encode(report.config)
        if report.state.ended:
            self._pending.pop(report.trial_id, None)
            self._ended[report.trial_id] = (row, self._targets(report))
        else:
            self._pending[report.trial_id] = row

    def suggest(self, trial_id: int) -> Config | None:
        """Where the front is expected to gain most; None: a finite space is used up."""
        rng = bound(self._binding, self).rng(trial_id)
        if self._unseen.used_up:
            return None
        measured = sum(targets is not None for _, targets in self._ended.values())
        started = len(self._ended) + len(self._pending)
        if started < self._start_size or measured < _LEAST or not self._features.dim:
            point = self._points.point(trial_id) if self._features.dim else None
            config = None if point is None else self._features.decode(point)
        else:
            config = self._most_promising(rng)
        if config is None or config not in self._unseen:
            config = self._unseen.draw(rng)
        if config is not None:
            self._unseen.see(config)
            self._pending[trial_id] = self._features.encode(config)
        return config

    def _targets(self, report: Report) -> Vector | None:
        """Scores, then the values of the constraints' metrics; None: the trial failed."""
        if report.state is TrialState.FAILED or report.score is None or not math.isfinite(report.score):
            return None
        if self._goals is None:
            return np.array([report.score])
        scores = self._goals.scores(report.metrics)
        bounded = [report.metrics.get(c.metric, math.nan) for c in self._goals.constraints]
        if scores is None or not all(map(math.isfinite, bounded)):
            return None
        return np.array([*scores, *bounded])

    def _most_promising(self, rng: np.random.Generator) -> Config | None:
        known = [(row, t) for row, t in self._ended.values() if t is not None][-self.max_observations :]
        rows = stack([row for row, _ in known], self._features.dim)
        targets = np.array([t for _, t in known])
        gain = self._gain(rows, targets)
        if self._unseen.is_listed:
            return self._best_of(listed_rows(self._features, self._unseen), gain)
        order = np.argsort(-gain(rows), kind="stable")[:_GOOD]
        front = rows[self._on_front(targets)]
        candidates = scattered_rows(self._features, np.vstack([rows[order], front[-_GOOD:]]), rng)
        for scale in _SCALES:
            best = candidates[np.argsort(-gain(candidates), kind="stable")[:_KEPT]]
            candidates = np.vstack([best, self._features.vary(best, _NEIGHBOURS, scale, rng)])
        return self._best_of(candidates, gain)

    def _best_of(self, rows: Rows, gain: _Gain) -> Config | None:
        """The untried config of highest gain."""
        for position in np.argsort(-gain(rows), kind="stable"):
            config = self._features.decode(rows[position])
            if config in self._unseen:
                return config
        return None

    def _on_front(self, targets: Rows) -> NDArray[np.bool_]:
        count, feasible = self._split(targets)
        mask = np.zeros(len(targets), dtype=bool)
        mask[feasible] = non_dominated(targets[feasible][:, :count])
        return mask

    def _split(self, targets: Rows) -> tuple[int, NDArray[np.bool_]]:
        """How many columns are objectives, and which rows keep all constraints."""
        constraints = self._goals.constraints if self._goals is not None else ()
        count = targets.shape[1] - len(constraints)
        kept = np.ones(len(targets), dtype=bool)
        for column, constraint in enumerate(constraints, start=count):
            kept &= np.array([constraint.violation(float(v)) <= 0.0 for v in targets[:, column]])
        return count, kept

    def _gain(self, rows: Rows, targets: Rows) -> _Gain:
        count, kept = self._split(targets)
        centre, spread, scaled = _standardised(targets)
        models = [self._model(rows, scaled[:, column], column) for column in range(targets.shape[1])]
        sound = scaled[kept][:, :count]
        constraints = self._goals.constraints if self._goals is not None else ()
        bounds = [(c, (c.bound - centre[i]) / spread[i]) for i, c in enumerate(constraints, start=count)]
        return _Gain(self._features, models, sound, bounds)

    def _model(self, rows: Rows, targets: Vector, column: int) -> GaussianProcess:
        wide, groups = self._features.widen(rows), self._features.groups
        count, last = self._fits.get(column, (0, None))
        if last is None or len(self._ended) >= count + max(1, count // 20):
            part = slice(-_FITTED, None)
            last = fit_hyperparameters(wide[part], targets[part], groups, Priors(), last, max_steps=30)
            self._fits[column] = (len(self._ended), last)
        model = GaussianProcess(wide, targets, groups, last)
        if self._pending:
            waiting = self._features.widen(stack(list(self._pending.values()), self._features.dim))
            model = model.fantasise(waiting, np.zeros((len(waiting), 1)))
        return model

    def __repr__(self) -> str:
        return f"EHVISearcher(num_initial={self.num_initial})"


class _Gain:
    """The logarithm of the expected gain in hypervolume times the chance to keep all constraints."""

    def __init__(
        self,
        features: GPFeatures,
        models: Sequence[GaussianProcess],
        sound: Rows,
        bounds: Sequence[tuple[Constraint, float]],
    ) -> None:
        self._features, self._models, self._bounds = features, models, bounds
        self._count = len(models) - len(bounds)
        self._front = sound[non_dominated(sound)] if len(sound) else sound
        # As bad as the worst trial: with one that lies close to the front its ends would gain nothing.
        self._reference = reference_of(sound) if len(sound) else np.zeros(self._count)

    def __call__(self, rows: Rows) -> Vector:
        """Of rows (n, dim): (n,); before any trial keeps the constraints, their chance alone."""
        from scipy.special import log_ndtr  # noqa: PLC0415  # heavy, used by models only

        wide = self._features.widen(rows)
        predicted = [model.predict(wide) for model in self._models]
        means = np.column_stack([mean[:, 0] for mean, _ in predicted])
        deviations = np.column_stack([deviation for _, deviation in predicted])
        value: Vector = np.zeros(len(rows))
        for column, (constraint, limit) in enumerate(self._bounds, start=self._count):
            sign = 1.0 if constraint.sign == "<=" else -1.0
            value += log_ndtr(sign * (limit - means[:, column]) / deviations[:, column])
        if len(self._front):
            count = self._count
            gained = expected_gain(means[:, :count], deviations[:, :count], self._front, self._reference)
            value += np.log(np.maximum(gained, 1e-300))
        return np.asarray(value, dtype=np.float64)


def _standardised(targets: Rows) -> tuple[Vector, Vector, Rows]:
    """Centre (m,), spread (m,) and scaled targets (n, m), by quartiles: a disaster squeezes nothing else."""
    # Differences of the largest numbers there are would overflow.
    tame = np.clip(targets, -1e150, 1e150)
    low, centre, high = np.percentile(tame, [25, 50, 75], axis=0)
    spread = (high - low) / 1.35
    spread = np.where(spread > 0.0, spread, np.ptp(tame, axis=0))
    spread = np.where(spread > 0.0, spread, 1.0)
    return centre, spread, np.clip((tame - centre) / spread, -_FAR, _FAR)


def expected_gain(means: Rows, deviations: Rows, front: Rows, reference: Vector) -> Vector:
    """The expected growth of the hypervolume by points with independent normal coordinates, exactly.

    The plane that the front leaves uncovered is cut into strips along the first coordinate. The
    chance that a point covers a place is a product, so each strip adds a product of two expected
    improvements.

    Args:
        means: (n, m), m = 1 or 2; larger is better.
        deviations: (n, m), > 0.
        front: (k, m), mutually non-dominated.
        reference: (m,).

    Returns:
        (n,).
    """
    if means.shape[1] == 1:
        top = max(float(front.max()), float(reference[0]))
        return expected_improvement(means[:, :1], deviations[:, :1], np.array([top]))[:, 0]
    inside = front[(front > reference).all(axis=1)]
    ordered = inside[np.argsort(inside[:, 0], kind="stable")]
    starts = np.concatenate([[reference[0]], ordered[:, 0]])
    floors = np.concatenate([ordered[:, 1], [reference[1]]])  # what is covered right of each start
    right = expected_improvement(means[:, :1], deviations[:, :1], starts)
    widths = right - np.column_stack([right[:, 1:], np.zeros(len(means))])
    gained: Vector = (widths * expected_improvement(means[:, 1:], deviations[:, 1:], floors)).sum(axis=1)
    return gained


def expected_improvement(means: Rows, deviations: Rows, levels: Vector) -> Rows:
    """By how much normal variables (n, 1) are expected to exceed levels (k,): (n, k)."""
    from scipy.special import ndtr  # noqa: PLC0415  # heavy, used by models only

    unit = (means - levels) / deviations
    density = np.exp(-0.5 * unit**2) / math.sqrt(2.0 * math.pi)
    expected: Rows = np.maximum(deviations * (density + unit * ndtr(unit)), 0.0)
    return expected
