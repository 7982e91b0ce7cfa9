"""Known configs first: a portfolio, or the points a user wants to see evaluated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from autodl.errors import ConfigError
from autodl.objectives import Goals
from autodl.searchers.binding import Binding, bound
from autodl.searchers.protocol import BindableSearcher, GoalSearcher, Searcher
from autodl.searchers.registry import get_searcher
from autodl.searchers.unseen import config_key
from autodl.spaces.search_space import SearchSpace
from autodl.trial import Config, Report, Value


class PortfolioSearcher:
    """Proposes given configs in their order, then hands over to another searcher.

    Args:
        configs: flat configs, or parts of some: labels left out take the defaults of the
            branches that are chosen. One that is given twice is proposed once.
        then: a searcher, or its name, asked once all are proposed. It observes the given
            configs' reports too, and does not propose those configs again if it has a method
            ``skip(configs)``, as autodl's own do.

    Example::

        ad.tune(train, searcher=PortfolioSearcher([{"lr": 0.1}, {"lr": 0.01}], then="bayesian"))
    """

    def __init__(self, configs: Sequence[Mapping[str, Value]], then: str | Searcher = "random") -> None:
        self.configs = tuple(dict(config) for config in configs)
        self.then = get_searcher(then)
        self._binding: Binding | None = None

    def bind_objectives(self, goals: Goals) -> None:
        """Told to the other searcher, if it wants to know."""
        if isinstance(self.then, GoalSearcher):
            self.then.bind_objectives(goals)

    def bind(self, space: SearchSpace, *, seed: int) -> None:
        """See `autodl.searchers.protocol.BindableSearcher.bind`.

        Raises:
            ConfigError: a config does not belong to the space; the message says which.
        """
        self._binding = Binding(space, seed)
        points: dict[str, Config] = {}
        for position, partial in enumerate(self.configs):
            try:
                config = space.complete(partial)
            except ConfigError as error:
                raise ConfigError(f"config {position} of {len(self.configs)} given: {error}") from error
            points.setdefault(config_key(config), config)
        self._points = points
        if isinstance(self.then, BindableSearcher):
            self.then.bind(space, seed=seed)
        self._tell_then(points.values())

    def skip(self, configs: Iterable[Config]) -> None:
        """Do not propose these: they are tried anyway."""
        skipped = list(configs)
        for config in skipped:
            self._points.pop(config_key(config), None)
        self._tell_then(skipped)

    def _tell_then(self, configs: Iterable[Config]) -> None:
        skip = getattr(self.then, "skip", None)
        if callable(skip):
            skip(list(configs))

    def suggest(self, trial_id: int) -> Config | None:
        """The next given config, or what the other searcher proposes."""
        bound(self._binding, self)
        if self._points:
            return self._points.pop(next(iter(self._points)))
        return self.then.suggest(trial_id)

    def observe(self, report: Report) -> None:
        """Told to the other searcher."""
        self.then.observe(report)

    def __repr__(self) -> str:
        return f"PortfolioSearcher({len(self.configs)} configs, then={self.then!r})"
