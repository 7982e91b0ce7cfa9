"""Tree-structured Parzen estimator: propose where good trials are dense and others are not.

Sources: J. Bergstra, R. Bardenet, Y. Bengio, B. Kegl, "Algorithms for Hyper-Parameter
Optimization" (NIPS 2011, section 4); S. Watanabe, "Tree-structured Parzen estimator:
understanding its algorithm components and their roles for better empirical performance" (2023).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from autodl.checks import check_whole
from autodl.searchers.bandwidths import by_neighbours
from autodl.searchers.binding import Binding, bound
from autodl.searchers.density import Mixture
from autodl.searchers.features import Rows, stack
from autodl.searchers.measurements import Measurements
from autodl.searchers.quasirandom import SobolPoints
from autodl.spaces.search_space import SearchSpace
from autodl.trial import Config, Report

_LEAST_SCORES = 3  # of fewer none is good
_GOOD = 0.1  # of all trials,
_MOST_GOOD = 25  # but so many at most
_JOINT = 0.5  # share of proposals by joint densities in spaces with choices
_PRIOR = 1.0  # weight of the uniform prior: that of a trial


class TPESearcher:
    """Proposes where the density of the best tenth of trials is highest over that of the others.

    Cheap and sound for tens to thousands of trials, mixed and conditional spaces and many
    workers. Learns from the ends of trials; as long as few have completed, from the highest
    resource that enough trials have reached (see `Measurements.ranked`). Running and failed
    trials count among the others, which keeps proposals away from them. No config of a finite
    space is proposed twice. Deterministic given the seed and the reports.

    Args:
        num_initial: trials that fill the space evenly (a scrambled Sobol sequence) before
            densities are compared; given ones (`PortfolioSearcher`) count.
        num_candidates: draws from the good trials' density that are compared for a proposal;
            more is greedier.
        multivariate: compare joint densities, in which parameters depend on each other; False:
            each parameter on its own, among the trials where it is active; None: joint ones where
            all parameters are numbers that are always active, else half of the proposals each
            way, for few good trials lie in one branch with one set of choices.

    Raises:
        OptionError: a number below 1.
    """

    def __init__(
        self, num_initial: int = 10, *, num_candidates: int = 64, multivariate: bool | None = None
    ) -> None:
        check_whole("num_initial", num_initial)
        check_whole("num_candidates", num_candidates)
        self.num_initial = num_initial
        self.num_candidates = num_candidates
        self.multivariate = multivariate
        self._binding: Binding | None = None

    def bind(self, space: SearchSpace, *, seed: int) -> None:
        """See `autodl.searchers.protocol.BindableSearcher.bind`."""
        self._binding = Binding(space, seed)
        self._data = Measurements(space)
        self._points = SobolPoints(self._data.features.dim, seed)
        self._share_joint = float(self.multivariate is not False)
        if self.multivariate is None and self._data.features.is_unordered.any():
            self._share_joint = _JOINT

    def skip(self, configs: Iterable[Config]) -> None:
        """Do not propose these: they are tried anyway."""
        for config in configs:
            self._data.unseen.see(config)

    def observe(self, report: Report) -> None:
        """Learn from a measurement or from the end of a trial."""
        self._data.observe(report)

    def suggest(self, trial_id: int) -> Config | None:
        """A config that looks like the good trials; None: a finite space is used up."""
        rng = bound(self._binding, self).rng(trial_id)
        if self._data.unseen.used_up:
            return None
        config = self._initial(trial_id) if self._is_starting() else self._densest(rng)
        if config is None or config not in self._data.unseen:
            config = self._data.unseen.draw(rng)
        if config is not None:
            self._data.add(trial_id, config)
        return config

    def _is_starting(self) -> bool:
        least = min(_LEAST_SCORES, self.num_initial)
        return len(self._data.trials) < self.num_initial or self._data.num_scored < least

    def _initial(self, trial_id: int) -> Config | None:
        """The trial's point of a scrambled Sobol sequence."""
        point = self._points.point(trial_id)
        return None if point is None else self._data.features.decode(point)

    def _densest(self, rng: np.random.Generator) -> Config | None:
        """The untried candidate of the highest ratio of densities; None: all were tried."""
        features = self._data.features
        good, others = self._split()
        if rng.random() >= self._share_joint:
            config = features.decode(self._best_columns(good, others, rng))
            if config in self._data.unseen:
                return config
        # In a small space all that the good trials suggest may have been tried by now.
        for points in (
            good.sample(self.num_candidates, rng),
            rng.random((self.num_candidates, features.dim)),
        ):
            rows, active = features.canonical(points)
            ratios = good.log_density(rows, active) - others.log_density(rows, active)
            for position in np.argsort(-ratios, kind="stable"):
                config = features.decode(rows[position])
                if config in self._data.unseen:
                    return config
        return None

    def _best_columns(self, good: Mixture, others: Mixture, rng: np.random.Generator) -> Rows:
        """The best candidate of each column on its own: (dim,)."""
        points = self._data.features.snapped(good.sample_marginals(self.num_candidates, rng))
        ratios = good.log_marginals(points) - others.log_marginals(points)
        best: Rows = points[np.argmax(ratios, axis=0), np.arange(points.shape[1])]
        return best

    def _split(self) -> tuple[Mixture, Mixture]:
        """Densities of the good trials and of all others, running and failed ones included."""
        count = min(math.ceil(_GOOD * len(self._data.trials)), _MOST_GOOD)
        good = self._data.ranked(enough=self.num_initial)[:count]
        others = sorted(set(self._data.trials).difference(good))
        return self._mixture(good, _rank_weights(len(good))), self._mixture(others, np.ones(len(others)))

    def _mixture(self, trial_ids: Sequence[int], weights: Rows) -> Mixture:
        features = self._data.features
        rows = stack([self._data.trials[trial_id].row for trial_id in trial_ids], features.dim)
        rows, active = features.canonical(rows)
        return Mixture(features, rows, active, by_neighbours(features, rows, active), weights, _PRIOR)

    def __repr__(self) -> str:
        return (
            f"TPESearcher(num_initial={self.num_initial}, num_candidates={self.num_candidates}, "
            f"multivariate={self.multivariate})"
        )


def _rank_weights(count: int) -> Rows:
    """Weights of good trials, the best first, as CMA-ES weighs its parents; their mean is 1."""
    weights = math.log(count + 1) - np.log(np.arange(1, count + 1))
    return weights / weights.mean() if count else weights
