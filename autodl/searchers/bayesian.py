"""Bayesian optimisation: a surrogate model of the score says where to look next.

Source: J. Snoek, H. Larochelle, R. P. Adams, "Practical Bayesian Optimization of Machine
Learning Algorithms" (NIPS 2012); with forests: F. Hutter, H. Hoos, K. Leyton-Brown, "Sequential
Model-Based Optimization for General Algorithm Configuration" (LION 2011). The surrogates are
scikit-optimize's; the acquisition is searched for here, because the spaces are conditional.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from autodl.errors import OptionError, UnknownNameError
from autodl.searchers.acquisition import ACQUISITIONS, hedge_probabilities
from autodl.searchers.binding import Binding, bound
from autodl.searchers.candidates import AcquisitionSearch, candidate_rows
from autodl.searchers.features import Features, Rows, stack
from autodl.searchers.losses import capped, standardised
from autodl.searchers.quasirandom import SobolPoints
from autodl.searchers.surrogates import DATA_LIMITS, Surrogate
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
        for name, value, least in (
            ("num_initial", num_initial, 1),
            ("max_observations", limit, _LEAST_SCORES),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise OptionError(f"{name} must be a whole number >= {least}, got {value!r}")
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
        self._pending: dict[int, Rows] = {}
        self._ended: dict[int, tuple[Rows, float | None]] = {}
        self._names = tuple(ACQUISITIONS) if self.acquisition == "gp_hedge" else (self.acquisition,)
        self._gains = np.zeros(len(self._names))
        self._favourites: Rows | None = None  # what each acquisition wanted last time

    def skip(self, configs: Iterable[Config]) -> None:
        """Do not propose these: they are tried anyway."""
        for config in configs:
            self._unseen.see(config)

    def observe(self, report: Report) -> None:
        """Learn from the end of a trial; a measurement on the way only tells that it runs."""
        if report.trial_id in self._ended:
            return
        row = self._pending.get(report.trial_id)
        if row is None:  # a trial someone else proposed
            row = self._features.encode(report.config)
            self._unseen.see(report.config)
        if report.state.ended:
            self._pending.pop(report.trial_id, None)
            score = report.score
            is_known = score is not None and math.isfinite(score) and report.state != "failed"
            self._ended[report.trial_id] = (row, score if is_known else None)
        else:
            self._pending[report.trial_id] = row

    def suggest(self, trial_id: int) -> Config | None:
        """What the surrogate expects to be best; None: a finite space is used up."""
        binding = bound(self._binding, self)
        if self._unseen.used_up:
            return None
        rng = binding.rng(trial_id)
        scored = sum(score is not None for _, score in self._ended.values())
        known = len(self._ended) + len(self._pending)
        starting = known < self.num_initial or scored < min(_LEAST_SCORES, self.num_initial)
        config = self._initial(trial_id) if starting else self._expected_best(rng)
        if config is None or config not in self._unseen:
            config = self._unseen.draw(rng)
        if config is not None:
            self._unseen.see(config)
            self._pending[trial_id] = self._features.encode(config)
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
        if self._pending:
            model.believe(self._features.widen(stack(list(self._pending.values()), self._features.dim)))
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
        chosen = capped([score for _, score in self._ended.values()], self.max_observations)
        ended = list(self._ended.values())
        rows = stack([ended[i][0] for i in chosen], self._features.dim)
        return rows, standardised([ended[i][1] for i in chosen])

    def __repr__(self) -> str:
        return (
            f"BayesianSearcher(surrogate={self.surrogate!r}, acquisition={self.acquisition!r}, "
            f"num_initial={self.num_initial})"
        )
