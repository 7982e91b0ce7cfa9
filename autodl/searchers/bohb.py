"""BOHB's searcher: kernel densities of good and bad configs at the highest resource that has data.

Source: S. Falkner, A. Klein, F. Hutter, "BOHB: Robust and Efficient Hyperparameter Optimization
at Scale" (ICML 2018, section 4 and algorithm 2). The other half of BOHB is Hyperband: use this
searcher with the scheduler "hyperband" or "asha".

Two things differ from the paper, which without them ends up proposing one config over and over:
kernels are at least 0.03 of a range wide, and trials without a score count as bad.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from autodl.checks import check_whole
from autodl.errors import OptionError
from autodl.searchers.bandwidths import by_spread
from autodl.searchers.binding import Binding, bound
from autodl.searchers.density import Mixture
from autodl.searchers.features import stack
from autodl.searchers.measurements import Measurements
from autodl.spaces.search_space import SearchSpace
from autodl.trial import Config, Report

_GOOD = 0.15  # of the trials with a score at the resource
_WIDEN = 3.0  # of the good density's kernels, when candidates are drawn from it
_SPARE = 2  # observations beside dim + 1 before there is a model


class BOHBSearcher:
    """Compares trials at the highest resource that enough have reached, and samples near the good.

    Made for schedulers that stop trials early or pause them: every measurement counts at its
    resource (epochs), so the first models come from short trials, later ones from long trials.
    Trials without a score, running or failed, count among the bad: that keeps proposals of many
    workers apart. No config of a finite space is proposed twice. Deterministic given the seed and
    the reports.

    Args:
        random_fraction: share of proposals that are drawn at random, in [0, 1]: they keep the
            search from trusting a low resource that misleads.
        num_candidates: draws near good trials that are compared for a proposal.
        min_points: scores at a resource that make a good and a bad density, >= 2; None: one more
            than there are parameters. A model needs two more.

    Raises:
        OptionError: a value out of range.
    """

    def __init__(
        self, *, random_fraction: float = 1 / 3, num_candidates: int = 64, min_points: int | None = None
    ) -> None:
        if isinstance(random_fraction, bool) or not isinstance(random_fraction, int | float):
            raise OptionError(f"random_fraction must be a number in [0, 1], got {random_fraction!r}")
        if not 0 <= random_fraction <= 1:
            raise OptionError(f"random_fraction must be in [0, 1], got {random_fraction!r}")
        check_whole("num_candidates", num_candidates)
        if min_points is not None:
            check_whole("min_points", min_points, 2)
        self.random_fraction = float(random_fraction)
        self.num_candidates = num_candidates
        self.min_points = min_points
        self._binding: Binding | None = None

    def bind(self, space: SearchSpace, *, seed: int) -> None:
        """See `autodl.searchers.protocol.BindableSearcher.bind`."""
        self._binding = Binding(space, seed)
        self._data = Measurements(space)
        self._least = self.min_points or self._data.features.dim + 1

    def skip(self, configs: Iterable[Config]) -> None:
        """Do not propose these: they are tried anyway."""
        for config in configs:
            self._data.unseen.see(config)

    def observe(self, report: Report) -> None:
        """Learn from a measurement or from the end of a trial."""
        self._data.observe(report)

    def suggest(self, trial_id: int) -> Config | None:
        """A config near good ones, or a random one; None: a finite space is used up."""
        rng = bound(self._binding, self).rng(trial_id)
        is_random = rng.random() < self.random_fraction
        config = None if is_random or self._data.unseen.used_up else self._densest(rng)
        if config is None:
            config = self._data.unseen.draw(rng)
        if config is not None:
            self._data.add(trial_id, config)
        return config

    def _densest(self, rng: np.random.Generator) -> Config | None:
        """The untried candidate of the highest ratio of densities; None: no model, or all tried."""
        resource = self._data.highest_resource(self._least + _SPARE)
        if resource is None:
            return None
        features = self._data.features
        good, bad = self._split(resource)
        rows, active = features.canonical(good.sample(self.num_candidates, rng, widen=_WIDEN))
        ratios = good.log_density(rows, active) - bad.log_density(rows, active)
        for position in np.argsort(-ratios, kind="stable"):
            config = features.decode(rows[position])
            if config in self._data.unseen:
                return config
        return None

    def _split(self, resource: int) -> tuple[Mixture, Mixture]:
        """Densities of good and bad trials at one resource; of few, some count as both."""
        scores = {i: t.scores[resource] for i, t in self._data.trials.items() if resource in t.scores}
        ranked = sorted(scores, key=lambda trial_id: (-scores[trial_id], trial_id))
        num_good = max(self._least, math.floor(_GOOD * len(ranked)))
        num_bad = max(self._least, len(ranked) - num_good)
        unscored = [trial_id for trial_id, trial in self._data.trials.items() if not trial.scores]
        return self._mixture(ranked[:num_good]), self._mixture(ranked[-num_bad:] + sorted(unscored))

    def _mixture(self, trial_ids: Sequence[int]) -> Mixture:
        features = self._data.features
        rows = stack([self._data.trials[trial_id].row for trial_id in trial_ids], features.dim)
        rows, active = features.canonical(rows)
        return Mixture(features, rows, active, by_spread(features, rows, active), np.ones(len(rows)))

    def __repr__(self) -> str:
        return (
            f"BOHBSearcher(random_fraction={self.random_fraction:.3g}, "
            f"num_candidates={self.num_candidates}, min_points={self.min_points!r})"
        )
