"""Configs as rows of numbers that a surrogate can learn from, many at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from autodl.spaces import Bool, Categorical, Int, SearchSpace, UnitCubeCodec
from autodl.trial import Config

Rows = NDArray[np.float64]

_SNAPPED = 1024  # integers with more values are as good as continuous
_INACTIVE = 0.5


class Features:
    """Unit-cube rows of a space: made canonical, widened into features, read back as configs.

    A canonical row stands for one config: integers and choices lie in the middle of their bins,
    inactive columns hold 0.5. The surrogate sees a choice of three or more as one column a
    choice (0 or 1, all 0 where inactive), because its order means nothing.

    Args:
        space: the search space; `dim` columns, one a parameter.

    Attributes:
        dim: the number of columns.
        is_unordered: (dim,), true for columns whose bins have no order: choices and booleans.
        edges: of each column the edges of its bins, from 0 to 1; None if it is continuous.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._codec = UnitCubeCodec(space)
        self.dim = self._codec.dim
        parameters = space.parameters
        columns = {parameter.label: column for column, parameter in enumerate(parameters)}
        # Of each column: the centres of its bins; None if continuous.
        self._centres: list[Rows | None] = []
        # Of each column: the innermost choice it hangs on, as (column, centre of the bin).
        self._hangs_on: list[tuple[int, float] | None] = []
        self._is_choice = np.zeros(self.dim, dtype=bool)
        self.is_unordered = np.zeros(self.dim, dtype=bool)
        self.edges: list[Rows | None] = []
        for column, parameter in enumerate(parameters):
            domain = parameter.domain
            few = domain.size is not None and (domain.size <= _SNAPPED or not isinstance(domain, Int))
            centres = np.array([domain.to_unit(value) for value in domain.values()]) if few else None
            self._centres.append(centres)
            self._is_choice[column] = isinstance(domain, Categorical) and (domain.size or 0) > 2
            self._hangs_on.append(None)
            self.is_unordered[column] = isinstance(domain, Bool | Categorical)
            self.edges.append(_bin_edges(centres))
            if parameter.conditions:
                label, value = parameter.conditions[-1]
                self._hangs_on[-1] = (columns[label], parameters[columns[label]].domain.to_unit(value))

    def encode(self, config: Config) -> Rows:
        """The canonical row of a config: (dim,)."""
        row = self._codec.encode(config)
        return np.where(np.isnan(row), _INACTIVE, row)

    def decode(self, row: Rows) -> Config:
        """The config of a row: (dim,)."""
        return self._codec.decode(row)

    def canonical(self, points: Rows) -> tuple[Rows, NDArray[np.bool_]]:
        """The canonical rows of any points of the cube, and which columns are active.

        Args:
            points: (n, dim), clipped to [0, 1].

        Returns:
            rows and mask, both (n, dim).
        """
        rows = self.snapped(points)
        active = np.ones(rows.shape, dtype=bool)
        for column, on in enumerate(self._hangs_on):
            if on is not None:  # parents come first: theirs are final by now
                active[:, column] = active[:, on[0]] & np.isclose(rows[:, on[0]], on[1])
                rows[~active[:, column], column] = _INACTIVE
        return rows, active

    def snapped(self, points: Rows) -> Rows:
        """Points with integers and choices in the middle of their bins, active or not: (n, dim)."""
        rows = np.clip(points, 0.0, 1.0)
        for column, centres in enumerate(self._centres):
            if centres is not None:
                middles = (centres[1:] + centres[:-1]) / 2
                rows[:, column] = centres[np.searchsorted(middles, rows[:, column])]
        return rows

    def widen(self, points: Rows) -> Rows:
        """What the surrogate sees: (n, features), choices as one column a choice."""
        rows, active = self.canonical(points)
        blocks: list[Rows] = []
        for column in range(self.dim):
            centres = self._centres[column]
            if centres is not None and self._is_choice[column]:
                same = np.isclose(rows[:, [column]], centres[None, :])
                blocks.append((same & active[:, [column]]).astype(float))
            else:
                blocks.append(rows[:, [column]])
        return np.hstack(blocks) if blocks else np.empty((len(points), 0))

    def vary(self, rows: Rows, count: int, scale: float, rng: np.random.Generator) -> Rows:
        """Neighbours: each differs from its row in about two columns.

        Args:
            rows: (n, dim), canonical.
            count: neighbours of each row.
            scale: standard deviation of a step along a number; a choice is drawn anew.
            rng: where the steps come from.

        Returns:
            (n * count, dim), canonical.
        """
        around = np.repeat(rows, count, axis=0)
        moved = rng.random(around.shape) < min(1.0, 2.0 / max(self.dim, 1))
        moved[np.arange(len(around)), rng.integers(0, max(self.dim, 1), len(around))] = True
        stepped = around + rng.normal(0.0, scale, around.shape)
        # A step as small as `scale` would leave an integer in its bin.
        redrawn = self._is_binned() & (rng.random(around.shape) < 0.5)
        stepped = np.where(redrawn, rng.random(around.shape), stepped)
        return self.canonical(np.where(moved, stepped, around))[0]

    def _is_binned(self) -> NDArray[np.bool_]:
        return np.array([centres is not None for centres in self._centres], dtype=bool)


def _bin_edges(centres: Rows | None) -> Rows | None:
    """Halfway between the centres, as `Features.canonical` rounds: (bins + 1,)."""
    return None if centres is None else np.concatenate([[0.0], (centres[1:] + centres[:-1]) / 2, [1.0]])


def stack(rows: Sequence[Rows], dim: int) -> Rows:
    """Rows on top of each other: (n, dim), also for none."""
    return np.stack(rows) if rows else np.empty((0, dim))
