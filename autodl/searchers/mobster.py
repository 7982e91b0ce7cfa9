"""Model-based asynchronous multi-fidelity search: the scheduler decides how long, a GP decides what.

Source: A. Klein, L. C. Tiao, T. Lienart, C. Archambeau, M. Seeger, "Model-based Asynchronous
Hyperparameter and Neural Architecture Search" (2020). Departures: expected improvement is that
at the full resource, and trials that have not got there are imagined (fantasies) to go on to it,
whether they run, wait or were stopped. Without that, a config which the scheduler stops again
and again, because it starts slowly, would be proposed again and again, for it is never disproved.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from autodl.checks import check_whole
from autodl.errors import OptionError
from autodl.searchers.binding import Binding, bound
from autodl.searchers.gp_acquisition import LogExpectedImprovement
from autodl.searchers.gp_features import GPFeatures
from autodl.searchers.gp_search import GPSearch
from autodl.searchers.losses import capped
from autodl.searchers.mobster_data import CurvePoints, RungData
from autodl.searchers.mobster_fit import CurveParameters, fit_curves
from autodl.searchers.mobster_process import CurveProcess
from autodl.searchers.quasirandom import SobolPoints
from autodl.searchers.unseen import Unseen
from autodl.spaces.search_space import SearchSpace
from autodl.trial import Config, Report

_LEAST_SCORES = 2  # a model of fewer says nothing
_GOOD = 5  # trials whose neighbourhood is searched
_FANTASIES = 8
_IMAGINED = 40  # unfinished trials imagined at the full resource: the most promising
_FITTED = 200  # measurements that parameters are fitted on, at most
_FEW = 60  # measurements up to which a fit is cheap


class MobsterSearcher:
    """Proposes where a Gaussian process over (config, resource) expects most at the full resource.

    For a scheduler that stops or pauses trials at rungs ("asha", "hyperband"); it learns from the
    reports at the rungs only, so `grace_period` and `reduction_factor` should be the
    scheduler's. Failed trials count as the worst seen. No config is proposed twice, and a finite
    space that is used up ends the search. Deterministic given the seed and the reports.

    Args:
        num_initial: trials before the model is asked: the space's default, then points that fill the
            space evenly (a scrambled Sobol sequence). None: by the number of parameters, 5 to 10.
        max_resource: resource of a full trial. None: the highest that was reported so far.
        grace_period: the lowest rung.
        reduction_factor: eta > 1, the ratio of rungs.
        max_observations: the model knows so many measurements at most.
        random_share: chance that a later trial still comes from that sequence: a model that sees most
            configs at low rungs only can be sure and wrong.

    Raises:
        OptionError: a number is out of range.
    """

    def __init__(  # keyword options with defaults
        self,
        num_initial: int | None = None,
        *,
        max_resource: int | None = None,
        grace_period: int = 1,
        reduction_factor: float = 3,
        max_observations: int = 1000,
        random_share: float = 0.25,
    ) -> None:
        check_whole("num_initial", 1 if num_initial is None else num_initial)
        check_whole("max_resource", 1 if max_resource is None else max_resource)
        check_whole("grace_period", grace_period)
        check_whole("max_observations", max_observations, _LEAST_SCORES)
        if not 1.0 < reduction_factor < math.inf:
            raise OptionError(f"reduction_factor must be a finite number > 1, got {reduction_factor!r}")
        if not 0.0 <= random_share < 1.0:
            raise OptionError(f"random_share must be in [0, 1), got {random_share!r}")
        self.num_initial = num_initial
        self.max_resource = max_resource
        self.grace_period = grace_period
        self.reduction_factor = reduction_factor
        self.max_observations = max_observations
        self.random_share = random_share
        self._binding: Binding | None = None

    def bind(self, space: SearchSpace, *, seed: int) -> None:
        """See `autodl.searchers.protocol.BindableSearcher.bind`."""
        self._binding = Binding(space, seed)
        self._features = GPFeatures(space)
        self._unseen = Unseen(space)
        self._data = RungData(self._features, self.grace_period, self.reduction_factor, self.max_resource)
        self._fit: tuple[int, CurveParameters] | None = None  # measurements at the last fit, its result
        self._sobol = SobolPoints(self._features.dim, seed)
        self._start_size = self.num_initial or int(np.clip(self._features.dim // 2 + 1, 5, 10))

    def skip(self, configs: Iterable[Config]) -> None:
        """Do not propose these: they are tried anyway."""
        for config in configs:
            self._unseen.see(config)

    def observe(self, report: Report) -> None:
        """See `autodl.searchers.protocol.Searcher.observe`."""
        if not self._data.knows(report.trial_id):
            self._unseen.see(report.config)
            self._data.add(report.trial_id, report.config)
        self._data.observe(report)

    def suggest(self, trial_id: int) -> Config | None:
        """See `autodl.searchers.protocol.Searcher.suggest`."""
        rng = bound(self._binding, self).rng(trial_id)
        if self._unseen.used_up:
            return None
        config: Config | None
        starts = self._data.num_trials < self._start_size or self._data.num_scores < _LEAST_SCORES
        if starts or rng.random() < self.random_share:
            config = self._spread(trial_id)
        else:
            config = self._most_promising(rng)
        if config is None or (self._unseen.size is not None and config not in self._unseen):
            config = self._unseen.draw(rng)
        if config is not None:
            self._unseen.see(config)
            self._data.add(trial_id, config)
        return config

    def _spread(self, trial_id: int) -> Config:
        """The default first, then points of a scrambled Sobol sequence: evener than independent draws."""
        binding = bound(self._binding, self)
        if not self._data.num_trials and binding.space.default in self._unseen:
            return binding.space.default
        point = self._sobol.point(trial_id)
        return binding.space.sample(binding.rng(trial_id)) if point is None else self._features.decode(point)

    def _most_promising(self, rng: np.random.Generator) -> Config | None:
        points = self._data.points(self.max_observations)
        goal = float(points.resource.max() if self.max_resource is None else self.max_resource)
        goal /= self.grace_period
        model = self._imagined(self._model(points), goal, rng)
        search = GPSearch(LogExpectedImprovement(model.at(goal)), self._features, self._unseen)
        configs = np.unique(points.rows, axis=0)
        means = model.at(goal).predict(self._features.widen(configs))[0].mean(axis=1)
        return search.best_config(configs[np.argsort(means, kind="stable")[:_GOOD]], rng)

    def _imagined(self, model: CurveProcess, goal: float, rng: np.random.Generator) -> CurveProcess:
        """With the most promising unfinished trials as if they had reached the goal."""
        unfinished = self._features.widen(self._data.unfinished(goal * self.grace_period))
        if not len(unfinished):
            return model
        means = model.at(goal).predict(unfinished)[0][:, 0]
        chosen = unfinished[np.argsort(means, kind="stable")[:_IMAGINED]]
        normals = rng.standard_normal((len(chosen), _FANTASIES))
        return model.fantasise(chosen, np.full(len(chosen), goal), normals)

    def _model(self, points: CurvePoints) -> CurveProcess:
        """The process of the data, with parameters that are fitted now or were lately."""
        wide, groups = self._features.widen(points.rows), self._features.groups
        resource, targets, count = points.resource / self.grace_period, points.targets, len(self._data)
        if self._fit is None or count >= self._fit[0] + max(1, count // 12):
            last = None if self._fit is None else self._fit[1]
            part = np.array(capped((-targets).tolist(), _FITTED))
            steps = 40 if count < _FEW else 12
            found = fit_curves(wide[part], resource[part], targets[part], groups, last, max_steps=steps)
            self._fit = (count, found)
        return CurveProcess(wide, resource, targets[:, None], groups, self._fit[1])

    def __repr__(self) -> str:
        return (
            f"MobsterSearcher(num_initial={self.num_initial}, max_resource={self.max_resource}, "
            f"grace_period={self.grace_period}, reduction_factor={self.reduction_factor})"
        )
