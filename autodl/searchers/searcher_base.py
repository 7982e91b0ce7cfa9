"""A start for searchers of one's own: it keeps the space and deals out generators."""

from __future__ import annotations

import numpy as np

from autodl.searchers.binding import Binding, bound
from autodl.spaces.search_space import SearchSpace
from autodl.trial import Config, Report


class SearcherBase:
    """Knows its space; a subclass adds `suggest`, and `observe` if it learns.

    Nobody has to use it: any object with `suggest` and `observe` is a searcher.

    Example::

        class Shuffled(SearcherBase):
            def suggest(self, trial_id):
                return self.space.sample(self.rng(trial_id))
    """

    _binding: Binding | None = None

    def bind(self, space: SearchSpace, *, seed: int) -> None:
        """See `autodl.searchers.protocol.BindableSearcher.bind`."""
        self._binding = Binding(space, seed)

    @property
    def space(self) -> SearchSpace:
        """What configs must belong to; known from the run's start on."""
        return bound(self._binding, self).space

    def rng(self, trial_id: int) -> np.random.Generator:
        """The generator of one trial's proposal: drawing from it keeps a run reproducible."""
        return bound(self._binding, self).rng(trial_id)

    def suggest(self, trial_id: int) -> Config | None:
        """See `autodl.searchers.protocol.Searcher.suggest`."""
        raise NotImplementedError

    def observe(self, report: Report) -> None:
        """Nothing to learn, unless a subclass does."""
