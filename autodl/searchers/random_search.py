"""Random search: each trial's config drawn on its own.

Source: J. Bergstra, Y. Bengio, "Random Search for Hyper-Parameter Optimization" (JMLR 2012).
"""

from __future__ import annotations

from collections.abc import Iterable

from autodl.searchers.binding import Binding, bound
from autodl.searchers.unseen import Unseen
from autodl.spaces.search_space import SearchSpace
from autodl.trial import Config, Report


class RandomSearcher:
    """Draws configs from the space; proposes none twice in a finite one, and ends when it is used up.

    Learns nothing: the same seed gives the same configs whatever is reported, on any number of
    workers.
    """

    def __init__(self) -> None:
        self._binding: Binding | None = None

    def bind(self, space: SearchSpace, *, seed: int) -> None:
        """See `autodl.searchers.protocol.BindableSearcher.bind`."""
        self._binding = Binding(space, seed)
        self._unseen = Unseen(space)

    def skip(self, configs: Iterable[Config]) -> None:
        """Do not propose these: they are tried anyway."""
        for config in configs:
            self._unseen.see(config)

    def suggest(self, trial_id: int) -> Config | None:
        """A config drawn with the trial's own generator; None: the space is used up."""
        rng = bound(self._binding, self).rng(trial_id)
        return self._unseen.draw(rng)

    def observe(self, report: Report) -> None:
        """Nothing to learn."""

    def __repr__(self) -> str:
        return "RandomSearcher()"
