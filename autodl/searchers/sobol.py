"""Quasi-random search: the configs fill the space evenly.

Source: I. Sobol, "On the distribution of points in a cube and the approximate evaluation of
integrals" (1967); for hyperparameters: J. Bergstra, Y. Bengio (JMLR 2012, section 4).
"""

from __future__ import annotations

from collections.abc import Iterable

from autodl.searchers.binding import Binding, bound
from autodl.searchers.features import Features
from autodl.searchers.quasirandom import SobolPoints
from autodl.searchers.unseen import Unseen
from autodl.spaces.search_space import SearchSpace
from autodl.trial import Config, Report


class SobolSearcher:
    """Proposes the points of a scrambled Sobol sequence, one a trial.

    Of 2^k trials each 2^-k part of every parameter's range gets one (of its logarithm's range
    with ``log``), and pairs of parameters are covered evenly too: fewer holes and clusters than
    random search, just as free on any number of workers. Learns nothing. In a finite space no
    config is proposed twice (a random new one takes the place), and the search ends when all are
    tried.
    """

    def __init__(self) -> None:
        self._binding: Binding | None = None

    def bind(self, space: SearchSpace, *, seed: int) -> None:
        """See `autodl.searchers.protocol.BindableSearcher.bind`."""
        self._binding = Binding(space, seed)
        self._features = Features(space)
        self._points = SobolPoints(self._features.dim, seed)
        self._unseen = Unseen(space)

    def skip(self, configs: Iterable[Config]) -> None:
        """Do not propose these: they are tried anyway."""
        for config in configs:
            self._unseen.see(config)

    def suggest(self, trial_id: int) -> Config | None:
        """The config at the trial's point; None: the space is used up."""
        rng = bound(self._binding, self).rng(trial_id)
        if self._unseen.used_up:
            return None
        point = self._points.point(trial_id)
        config = None if point is None else self._features.decode(point)
        if config is None or config not in self._unseen:
            return self._unseen.draw(rng)
        if self._unseen.size is not None:  # in an infinite space no two points meet
            self._unseen.see(config)
        return config

    def observe(self, report: Report) -> None:
        """Nothing to learn."""

    def __repr__(self) -> str:
        return "SobolSearcher()"
