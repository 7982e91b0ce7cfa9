"""Bayesian optimisation: a surrogate model of the score says where to look next.

Source: J. Snoek, H. Larochelle, R. P. Adams, "Practical Bayesian Optimization of Machine
Learning Algorithms" (NIPS 2012); with forests: F. Hutter, H. Hoos, K. Leyton-Brown, "Sequential
Model-Based Optimization for General Algorithm Configuration" (LION 2011). The surrogates are
scikit-optimize's; the acquisition is searched for here, because the spaces are conditional.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from autodl.checks import check_whole
from autodl.errors import UnknownNameError
from autodl.searchers.acquisition import ACQUISITIONS, hedge_probabilities
from autodl.searchers.binding import Binding, bound
from autodl.searchers.candidates import AcquisitionSearch, candidate_rows
from autodl.searchers.features import Features, Rows
from autodl.searchers.losses import standardised
from autodl.searchers.quasirandom import SobolPoints
from autodl.searchers.surrogates import DATA_LIMITS, Surrogate
from autodl.searchers.trial_rows import TrialRows
from autodl.searchers.unseen import Unseen
from autodl.spaces.search_space import SearchSpace
from autodl.trial import Config, Report

_LEAST_SCORES = 3  # a surrogate of fewer says nothing


class BayesianSearcher:
    """Proposes what a surrogate, fitted on the trials that ended, expects to be best.

    Learns from the end of a trial, not from measurements on the way; failed trials count as the
    worst seen; running ones as coming out as predicted. No config is proposed twice, and a
    finite space that is used up ends the search. Deterministic given the seed and the reports.

    Args:
        surrogate: "GP" (Gaussian process: the default, for up to about 20 parameters), "RF"
            (random forest) or "ET" (extra trees: many parameters or choices).
        acquisition: "EI", "LCB", "PI", or "gp_hedge", which shifts to the one that did best (good
            on smooth functions; stuck in a branch of a conditional space more often than "EI").
        num_initial: trials that fill the space evenly (a scrambled Sobol sequence) before the
            surrogate is asked; given ones (`PortfolioSearcher`) count.
        max_observations: the surrogate is fitted on so many trials at most, half of them the
            best, half the latest; None: 120 for GP, 1,000 for RF and ET.

    Raises:
        UnknownNameError: no such surrogate or acquisition.
        OptionError: a number below 1.
    """

    def __init__(
        self,
        surrogate: str = "GP",
        acquisition: str = "EI",
        num_initial: int = 10,
        *,
        max_observations: int | None = None,
    ) -> None:
        if surrogate not in DATA_LIMITS:
            raise UnknownNameError("surrogate", surrogate, tuple(DATA_LIMITS))
        if acquisition not in (*ACQUISITIONS, "gp_hedge"):
            raise UnknownNameError("acquisition", acquisition, (*ACQUISITIONS, "gp_hedge"))
        limit = DATA_LIMITS[surrogate] if max_observations is None else max_observations
        check_whole("num_initial", num_initial)
        check_whole("max_observations", limit, _LEAST_SCORES)
        self.surrogate = surrogate
        self.acquisition = acquisition
        self.num_initial = num_initial
        self.max_observations = limit
        self._binding: Binding | None = None

    def bind(self, space: SearchSpace, *, seed: int) -> None:
        """See `autodl.searchers.protocol.BindableSearcher.bind`."""
        self._binding = Binding(space, seed)
        self._features = Features(space)
        self._points = SobolPoints(self._features.dim, seed)
        self._unseen = Unseen(space)
        self._trials = TrialRows(self._features, self._unseen)
        self._names = tuple(ACQUISITIONS) if self.acquisition == "gp_hedge" else (self.acquisition,)
        self._gains = np.zeros(len(self._names))
        self._favourites: Rows | None = None  # what each acquisition wanted last time

    def skip(self, configs: Iterable[Config]) -> None:
        """Do not propose these: they are tried anyway."""
        self._trials.skip(configs)

    def observe(self, report: Report) -> None:
        """Learn from the end of a trial; a measurement on the way only tells that it runs."""
        self._trials.observe(report)

    def suggest(self, trial_id: int) -> Config | None:
        """What the surrogate expects to be best; None: a finite space is used up."""
        binding = bound(self._binding, self)
        if self._unseen.used_up:
            return None
        rng = binding.rng(trial_id)
        least = min(_LEAST_SCORES, self.num_initial)
        starting = len(self._trials) < self.num_initial or self._trials.num_scored < least
        config = self._initial(trial_id) if starting else self._expected_best(rng)
        if config is None or config not in self._unseen:
            config = self._unseen.draw(rng)
        if config is not None:
            self._trials.add(trial_id, config)
        return config

    def _initial(self, trial_id: int) -> Config:
        """The trial's point of a scrambled Sobol sequence: evener than independent draws."""
        point = self._points.point(trial_id)
        if point is None:
            binding = bound(self._binding, self)
            return binding.space.sample(binding.rng(trial_id))
        return self._features.decode(point)

    def _expected_best(self, rng: np.random.Generator) -> Config | None:
        rows, losses = self._data()
        model = Surrogate(self.surrogate, seed=int(rng.integers(2**31)))
        model.fit(self._features.widen(rows), losses)
        self._reward(model)
        if len(pending := self._trials.pending):
            model.believe(self._features.widen(pending))
        search = AcquisitionSearch(model, self._features, self._unseen, best=float(losses.min()))
        search.start(candidate_rows(self._unseen, self._features, rows[np.argsort(losses)[:5]], rng))
        favourites: list[Rows] = []
        for name in self._names:
            favourite = search.best_row(ACQUISITIONS[name], rng)
            if favourite is None:
                return None
            favourites.append(favourite)
        self._favourites = np.stack(favourites)
        chosen = int(rng.choice(len(favourites), p=hedge_probabilities(self._gains)))
        return self._features.decode(favourites[chosen])

    def _reward(self, model: Surrogate) -> None:
        """GP-Hedge: an acquisition gains by how good its last favourite looks by now."""
        if self._favourites is not None and len(self._names) > 1:
            mean, _ = model.predict(self._features.widen(self._favourites))
            self._gains = self._gains - mean

    def _data(self) -> tuple[Rows, Rows]:
        """Rows (n, dim) and standardised losses (n,) to fit on."""
        rows, scores = self._trials.chosen(self.max_observations)
        return rows, standardised(scores)

    def __repr__(self) -> str:
        return (
            f"BayesianSearcher(surrogate={self.surrogate!r}, acquisition={self.acquisition!r}, "
            f"num_initial={self.num_initial})"
        )
