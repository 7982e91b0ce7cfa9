"""Bayesian optimisation with a Gaussian process: the strong default for small budgets.

Source: J. Snoek, H. Larochelle, R. P. Adams, "Practical Bayesian Optimization of Machine Learning
Algorithms" (NIPS 2012). Own parts: `autodl.searchers.gaussian_process` (the model), `gp_features`
(conditional spaces), `gp_targets` (skewed scores), `gp_acquisition` and `gp_search`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from autodl.checks import check_whole
from autodl.searchers.binding import Binding, bound
from autodl.searchers.features import Rows
from autodl.searchers.gaussian_process import GaussianProcess
from autodl.searchers.gp_acquisition import LogExpectedImprovement
from autodl.searchers.gp_features import GPFeatures
from autodl.searchers.gp_fit import Hyperparameters, Priors, doubtful, fit_hyperparameters
from autodl.searchers.gp_search import GPSearch
from autodl.searchers.gp_targets import gp_targets
from autodl.searchers.losses import capped
from autodl.searchers.quasirandom import SobolPoints
from autodl.searchers.trial_rows import TrialRows
from autodl.searchers.unseen import Unseen
from autodl.spaces.search_space import SearchSpace
from autodl.trial import Config, Report

_LEAST_SCORES = 2  # a model of fewer says nothing
_GOOD = 5  # trials whose neighbourhood is searched
_FANTASIES = 8
_FITTED = 200  # trials that hyper-parameters are fitted on, at most
# Rougher than the defaults (what a parameter does differs between branches) and noisier (trainings are).
_PRIORS = Priors(scale=0.18, noise=1e-2)
# On a grid of few values the neighbours are far apart: a short scale would tell nothing about them.
_GRID_PRIORS = Priors(noise=1e-2)
_STUCK = 5  # trials without a better one, after which the model is doubted
_DOUBTED = 3  # of so many trials then, one is chosen by a model that is less sure


class GPSearcher:
    """Proposes where a Gaussian process expects most improvement over the best trial.

    Learns from the end of a trial, not from measurements on the way; failed trials count as the
    worst seen; running ones are averaged over draws of how they come out. No config is proposed
    twice, and a finite space that is used up ends the search. Deterministic given the seed and
    the reports.

    Args:
        num_initial: trials before the model is asked: the space's default, then points that fill
            the space evenly (a scrambled Sobol sequence); given ones (`PortfolioSearcher`) count.
            None: by the number of parameters, 4 to 6.
        max_observations: the model knows so many trials at most, half of them the best, half the
            latest.

    Raises:
        OptionError: a number below 1.
    """

    def __init__(self, num_initial: int | None = None, *, max_observations: int = 1000) -> None:
        check_whole("num_initial", 1 if num_initial is None else num_initial)
        check_whole("max_observations", max_observations, _LEAST_SCORES)
        self.num_initial = num_initial
        self.max_observations = max_observations
        self._binding: Binding | None = None

    def bind(self, space: SearchSpace, *, seed: int) -> None:
        """See `autodl.searchers.protocol.BindableSearcher.bind`."""
        self._binding = Binding(space, seed)
        self._features = GPFeatures(space)
        self._priors = _PRIORS if self._features.relaxed.any() else _GRID_PRIORS
        self._unseen = Unseen(space)
        self._points = SobolPoints(self._features.dim, seed)
        self._trials = TrialRows(self._features, self._unseen)
        self._fit: tuple[int, Hyperparameters] | None = None  # trials at the last fit, and its result
        self._start_size = self.num_initial or int(np.clip(self._features.dim + 1, 4, 6))

    def skip(self, configs: Iterable[Config]) -> None:
        """Do not propose these: they are tried anyway."""
        self._trials.skip(configs)

    def observe(self, report: Report) -> None:
        """Learn from the end of a trial; a measurement on the way only tells that it runs."""
        self._trials.observe(report)

    def suggest(self, trial_id: int) -> Config | None:
        """Where most improvement is expected; None: a finite space is used up."""
        binding = bound(self._binding, self)
        if self._unseen.used_up:
            return None
        rng = binding.rng(trial_id)
        least = min(_LEAST_SCORES, self._start_size)
        starting = len(self._trials) < self._start_size or self._trials.num_scored < least
        config = self._initial(trial_id) if starting or not self._features.dim else self._most_promising(rng)
        if config is None or config not in self._unseen:
            config = self._unseen.draw(rng)
        if config is not None:
            self._trials.add(trial_id, config)
        return config

    def _initial(self, trial_id: int) -> Config:
        """The default first, then points of a scrambled Sobol sequence: evener than independent draws."""
        binding = bound(self._binding, self)
        if trial_id == 0:  # the user's guess, or the middle
            return binding.space.default
        point = self._points.point(trial_id)
        return binding.space.sample(binding.rng(trial_id)) if point is None else self._features.decode(point)

    def _most_promising(self, rng: np.random.Generator) -> Config | None:
        rows, scores = self._trials.chosen(self.max_observations)
        targets = gp_targets(scores)
        model = self._model(rows, targets)
        if len(pending := self._trials.pending):
            waiting = self._features.widen(pending)
            model = model.fantasise(waiting, rng.standard_normal((len(waiting), _FANTASIES)))
        search = GPSearch(LogExpectedImprovement(model), self._features, self._unseen)
        return search.best_config(rows[np.argsort(targets, kind="stable")[:_GOOD]], rng)

    def _model(self, rows: Rows, targets: Rows) -> GaussianProcess:
        """The GP of the data, with hyper-parameters that are fitted now or were lately."""
        wide, groups = self._features.widen(rows), self._features.groups
        count = self._trials.num_ended
        if self._fit is None or count >= self._fit[0] + max(1, count // 25):
            last = None if self._fit is None else self._fit[1]
            part = np.arange(len(rows))
            if len(rows) > _FITTED:
                part = np.array(capped((-targets).tolist(), _FITTED))
            steps = 50 if count < 60 else 15
            found = fit_hyperparameters(
                wide[part], targets[part], groups, self._priors, last, max_steps=steps
            )
            self._fit = (count, found)
        chosen = self._fit[1]
        if self._is_stuck() and count % _DOUBTED == 0:
            chosen = doubtful(chosen, self._priors)
        return GaussianProcess(wide, targets, groups, chosen)

    def _is_stuck(self) -> bool:
        """No better trial for some time: the model may be too sure of what it found irrelevant."""
        scores = [-math.inf if score is None else score for score in self._trials.scores]
        return len(scores) - 1 - int(np.argmax(scores)) >= _STUCK

    def __repr__(self) -> str:
        return f"GPSearcher(num_initial={self.num_initial})"
