"""Grid search: every combination of a few values for each parameter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from autodl.checks import is_whole
from autodl.errors import ConfigError, OptionError
from autodl.searchers.binding import Binding, bound
from autodl.searchers.unseen import Unseen
from autodl.spaces import Categorical, Int, Real
from autodl.spaces.search_space import Parameter, SearchSpace
from autodl.spaces.serial import domain_to_json
from autodl.trial import Config, Report, Value

_DEFAULT_POINTS = 5


class GridSearcher:
    """Proposes every point of a grid once, then None.

    Args:
        points_per_axis: values for each number, evenly spaced over its range, both ends included
            (on the log scale where the domain has one); a domain with fewer values gives them
            all, and so do categories. A mapping ``label -> points`` sets some labels, the rest
            get 5. A single point is the default.
        shuffle: propose in an order drawn with the run's seed, so that a search that ends early
            has looked everywhere; otherwise the last parameter changes fastest.

    Raises:
        OptionError: fewer than 1 point.
    """

    def __init__(
        self, points_per_axis: int | Mapping[str, int] = _DEFAULT_POINTS, *, shuffle: bool = False
    ) -> None:
        given = points_per_axis if isinstance(points_per_axis, Mapping) else {"": points_per_axis}
        for label, points in given.items():
            if not is_whole(points, 1):
                at = f" for {label!r}" if label else ""
                raise OptionError(f"points_per_axis must be a whole number >= 1, got {points!r}{at}")
        self.points_per_axis = points_per_axis
        self.shuffle = shuffle
        self._binding: Binding | None = None

    def bind(self, space: SearchSpace, *, seed: int) -> None:
        """See `autodl.searchers.protocol.BindableSearcher.bind`.

        Raises:
            OptionError: `points_per_axis` names a label the space does not have.
        """
        points = self.points_per_axis
        unknown = [label for label in points if label not in space] if isinstance(points, Mapping) else []
        if unknown:
            raise OptionError(
                f"points_per_axis names {unknown}, which the space lacks; it has {list(space.labels)}"
            )
        grid = self._grid(space)
        self._binding = Binding(grid, seed)
        self._unseen = Unseen(grid)
        self._rest = grid.enumerate()

    def skip(self, configs: Iterable[Config]) -> None:
        """Do not propose these: they are tried anyway."""
        grid = bound(self._binding, self).space
        for config in configs:
            if _holds(grid, config):
                self._unseen.see(config)

    def suggest(self, trial_id: int) -> Config | None:
        """The next point of the grid; None: it is used up."""
        binding = bound(self._binding, self)
        if self.shuffle:
            return self._unseen.draw(binding.rng(trial_id))
        return next((config for config in self._rest if config in self._unseen), None)

    def observe(self, report: Report) -> None:
        """Nothing to learn."""

    def _grid(self, space: SearchSpace) -> SearchSpace:
        """The space with every domain narrowed to its points: conditions and counts come for free."""
        data = space.to_json()
        for row, parameter in zip(data["parameters"], space.parameters, strict=True):
            row["domain"] = domain_to_json(Categorical(self._axis(parameter)))
        return SearchSpace.from_json(data)

    def _axis(self, parameter: Parameter) -> list[Value]:
        domain, points = parameter.domain, self.points_per_axis
        if isinstance(points, Mapping):
            points = points.get(parameter.label, _DEFAULT_POINTS)
        is_number = isinstance(domain, Real | Int)
        if not is_number or (domain.size is not None and domain.size <= points):
            return list(domain.values())
        if points == 1:
            return [domain.default]
        # Two points may round to one value in a narrow range.
        return list(dict.fromkeys(domain.from_unit(i / (points - 1)) for i in range(points)))

    def __repr__(self) -> str:
        return f"GridSearcher(points_per_axis={self.points_per_axis!r}, shuffle={self.shuffle})"


def _holds(space: SearchSpace, config: Config) -> bool:
    try:
        space.validate(config)
    except ConfigError:
        return False
    return True
