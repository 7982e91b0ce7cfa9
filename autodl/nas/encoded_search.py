"""Bayesian optimisation over architectures, seen through an encoding of their graph.

Sources: C. White, W. Neiswanger, Y. Savani, "BANANAS" (AAAI 2021), for encodings and for looking at
mutants of the best architectures; J. Snoek et al. (NIPS 2012) for expected improvement. We depart in
the surrogate, a Gaussian process (few trials, and it knows what it does not know) instead of an
ensemble of networks, and learn from trainings of different lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autodl.checks import check_whole
from autodl.errors import OptionError
from autodl.nas.encoded_data import FidelityData
from autodl.rng import trial_rng
from autodl.searchers.evolution import mutated
from autodl.searchers.gaussian_process import GaussianProcess
from autodl.searchers.gp_acquisition import LogExpectedImprovement
from autodl.searchers.gp_fit import Hyperparameters, Priors, fit_hyperparameters
from autodl.searchers.unseen import Unseen, config_key
from autodl.spaces.search_space import SearchSpace
from autodl.trial import Config, Report

__all__ = ["EncodedSearcher"]

_Array = NDArray[np.float64]
_GOOD = 8  # architectures whose mutants are looked at
_FANTASIES = 4
_LEAST = 3  # scores; a model of fewer says nothing
_PRIORS = Priors()


class EncodedSearcher:
    """Proposes the architecture whose encoding promises most improvement at the full training.

    Learns from every fidelity that trials report (resource 1, 2, ...): short trainings are brought to
    the mean and spread of the longest, by the trials that have both, and lie apart from them in the
    model. So it suits "fifo", with one fidelity, and "asha" with several. Running trials
    are averaged over draws of how they come out; failed ones count as the worst seen. No config is
    proposed twice, nor, while others are found, one whose encoding was tried: the same network in
    other words. Deterministic given the seed and the reports.

    Args:
        encoding: ``encoding(config) -> (features,)``, such as `autodl.nas.cell_encoding.CellEncoding`. If
            it has an attribute `groups`, (features,), features of one number share a length scale.
        num_initial: random trials before the model is asked.
        pool: untried architectures looked at for each proposal, half of them mutants of the best.
        repeats_from: from this resource on a trial trains again with new weights and reports the mean
            of its runs so far; None: never.
        max_observations: the model knows so many measurements at most, the best and the latest.

    Raises:
        OptionError: a number below 1, or an encoding that is no function.

    Example:
        >>> from autodl.nas.nasbench201_cell import encoding, search_space
        >>> searcher = EncodedSearcher(encoding(), num_initial=5)
        >>> searcher.bind(search_space(), seed=0)
        >>> sorted(searcher.suggest(0)) == sorted(search_space().labels)
        True
    """

    def __init__(
        self,
        encoding: Callable[[Config], Any],
        *,
        num_initial: int = 10,
        pool: int = 600,
        repeats_from: int | None = None,
        max_observations: int = 500,
    ) -> None:
        if not callable(encoding):
            raise OptionError(f"encoding must be a function of a config, got {encoding!r}")
        check_whole("num_initial", num_initial)
        check_whole("pool", pool, 2)
        check_whole("repeats_from", 1 if repeats_from is None else repeats_from)
        check_whole("max_observations", max_observations, 2)
        self.encoding = encoding
        self.repeats_from = repeats_from
        self.num_initial, self.pool, self.max_observations = num_initial, pool, max_observations
        self._space: SearchSpace | None = None

    def bind(self, space: SearchSpace, *, seed: int) -> None:
        """See `autodl.searchers.protocol.BindableSearcher.bind`."""
        self._space, self._seed = space, seed
        self._unseen = Unseen(space)
        self._vectors: dict[str, _Array] = {}
        self._tried: set[bytes] = set()
        self._data = FidelityData(self.repeats_from)
        self._fit: tuple[int, Hyperparameters] | None = None

    def skip(self, configs: Iterable[Config]) -> None:
        """Do not propose these: they are tried anyway."""
        for config in configs:
            self._see(config)

    def observe(self, report: Report) -> None:
        """See `autodl.searchers.protocol.Searcher.observe`."""
        if not self._data.knows(report.trial_id):
            self._see(report.config)
            self._data.add(report.trial_id, report.config, self._vector(report.config))
        self._data.observe(report)

    def suggest(self, trial_id: int) -> Config | None:
        """The most promising architecture; None: a finite space is used up."""
        space = self._bound()
        if self._unseen.used_up:
            return None
        rng = trial_rng(self._seed, trial_id)
        if len(self._data) < self.num_initial or self._data.num_scores < _LEAST:
            config = self._fresh(space.sample(rng) for _ in range(self.pool))
        else:
            config = self._most_promising(rng)
        if config is None:
            config = self._unseen.draw(rng)
        if config is not None:
            self._see(config)
            self._data.add(trial_id, config, self._vector(config))
        return config

    def recommend(self) -> Config | None:
        """The fully trained architecture of the best mean in the model; None before there is a model.

        Less fooled by one lucky training than the best score is.
        """
        if self._data.num_scores < _LEAST:
            return None
        model = self._model()
        configs, vectors = self._data.complete()
        means = model.predict(self._at_top(vectors))[0][:, 0]
        return configs[int(np.argmin(means))] if configs else None

    # ------------------------------------------------------------------ model

    def _most_promising(self, rng: np.random.Generator) -> Config | None:
        model = self._model()
        known_configs, known = self._data.configs, self._at_top(self._data.vectors)
        means = model.predict(known)[0][:, 0]
        good = [known_configs[i] for i in np.argsort(means, kind="stable")[:_GOOD]]
        waiting = self._at_top(self._data.pending)
        if len(waiting):
            model = model.fantasise(waiting, rng.standard_normal((len(waiting), _FANTASIES)))
        candidates = self._candidates(good, rng)
        if not candidates:
            return None
        value = LogExpectedImprovement(model)
        value.best = model.predict(known)[0].min(axis=0)
        points = self._at_top(np.stack([self._vector(config) for config in candidates]))
        return candidates[int(np.argmax(value(points)))]

    def _model(self) -> GaussianProcess:
        points, targets = self._data.points(self.max_observations)
        count = self._data.num_scores
        groups = self._groups(points.shape[1])
        if self._fit is None or count >= self._fit[0] + max(1, count // 20):
            last = None if self._fit is None else self._fit[1]
            steps = 50 if count < 60 else 15
            found = fit_hyperparameters(points, targets, groups, _PRIORS, last, max_steps=steps)
            self._fit = (count, found)
        return GaussianProcess(points, targets, groups, self._fit[1])

    def _groups(self, width: int) -> NDArray[np.intp]:
        """Of the vector's features, and one more for the fidelity."""
        given = getattr(self.encoding, "groups", None)
        groups = np.arange(width - 1) if given is None else np.asarray(given)
        return np.array([*groups, int(groups.max()) + 1], dtype=np.intp)

    def _at_top(self, vectors: _Array) -> _Array:
        return np.hstack([vectors, np.ones((len(vectors), 1))]) if len(vectors) else vectors

    # ------------------------------------------------------------------ candidates

    def _candidates(self, good: list[Config], rng: np.random.Generator) -> list[Config]:
        """Untried configs with different encodings: mutants of good ones, and random ones."""
        space = self._bound()
        made = [space.sample(rng) for _ in range(self.pool // 2)]
        for index in range(self.pool - len(made)):
            child = mutated(space, good[index % len(good)], rng)
            if child is not None and rng.random() < 0.5:
                child = mutated(space, child, rng)
            made += [] if child is None else [child]
        found: dict[bytes, Config] = {}
        for config in made:
            key = self._vector(config).tobytes()
            if key not in self._tried and config in self._unseen:
                found.setdefault(key, config)
        return list(found.values())

    def _fresh(self, configs: Iterable[Config]) -> Config | None:
        for config in configs:
            if self._vector(config).tobytes() not in self._tried and config in self._unseen:
                return config
        return None

    def _see(self, config: Config) -> None:
        self._unseen.see(config)
        self._tried.add(self._vector(config).tobytes())

    def _vector(self, config: Config) -> _Array:
        key = config_key(config)
        if key not in self._vectors:
            self._vectors[key] = np.asarray(self.encoding(config), dtype=np.float64)
        return self._vectors[key]

    def _bound(self) -> SearchSpace:
        if self._space is None:
            raise RuntimeError("bind(space, seed=...) comes first; autodl.tune calls it")
        return self._space

    def __repr__(self) -> str:
        return f"EncodedSearcher({self.encoding!r}, num_initial={self.num_initial}, pool={self.pool})"
