"""What a Gaussian process sees of a config: columns that mean the same share a feature.

Beyond `Features`: a parameter that stands under several choices of one parent, with one name and
domain (``units`` under "2 layers" and under "3 layers"), is one feature, so that what is learned
under one choice tells about the other. Choices whose names are ascending numbers are ordered.
Finite columns reach from 0 to 1.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from autodl.searchers.features import Features, Rows
from autodl.searchers.matern import Groups
from autodl.spaces import Categorical, SearchSpace
from autodl.spaces.base import Value
from autodl.spaces.parameters import Parameter

_RELAXED = 12  # ordered columns of more values are moved along as if continuous, then rounded


class GPFeatures(Features):
    """Canonical rows as `Features` has them; `widen` and the groups are for a GP's kernel.

    Args:
        space: the search space.

    Attributes:
        groups: (features,), which length scale each feature uses: one a parameter or choice.
        feature_of: (dim,), the feature that a column moves; -1 for unordered choices.
    """

    def __init__(self, space: SearchSpace) -> None:
        super().__init__(space)
        self.feature_of = np.full(self.dim, -1, dtype=np.intp)
        self._first: list[int] = []  # of each column: its first feature
        groups: list[int] = []
        shared: dict[object, tuple[int, int]] = {}
        for column, parameter in enumerate(space.parameters):
            domain = parameter.domain
            if isinstance(domain, Categorical):
                self._is_choice[column] = (domain.size or 0) > 2 and not is_ordered(tuple(domain.values()))
            width = (domain.size or 1) if self._is_choice[column] else 1
            key = _meaning(parameter)
            if key not in shared:
                shared[key] = (len(groups), len(shared))
                groups += [shared[key][1]] * width
            self._first.append(shared[key][0])
            if not self._is_choice[column]:
                self.feature_of[column] = shared[key][0]
        self.groups: Groups = np.array(groups, dtype=np.intp)
        self.relaxed = np.array(
            [centres is None or (len(centres) > _RELAXED) for centres in self._centres], dtype=bool
        )
        self.relaxed &= ~self._is_choice

    def widen(self, points: Rows) -> Rows:
        """What the kernel sees: (n, features); the middle where inactive, choices as 0 or 1."""
        rows, active = self.canonical(points)
        return self.widen_canonical(rows, active)

    def widen_canonical(self, rows: Rows, active: NDArray[np.bool_]) -> Rows:
        """`widen` of rows that are canonical already, with their mask of active columns."""
        wide = np.full((len(rows), len(self.groups)), 0.5)
        for column, first in enumerate(self._first):
            centres, is_active = self._centres[column], active[:, column]
            values = rows[:, column]
            if centres is not None and self._is_choice[column]:
                same = np.isclose(values[:, None], centres[None, :]) & is_active[:, None]
                block = wide[:, first : first + len(centres)]
                wide[:, first : first + len(centres)] = np.where(is_active[:, None], same, block)
                continue
            if centres is not None:
                values = (values - centres[0]) / max(centres[-1] - centres[0], 1e-12)
            wide[is_active, first] = values[is_active]
        for column, first in enumerate(self._first):  # choices nobody made
            centres = self._centres[column]
            if centres is not None and self._is_choice[column]:
                block = wide[:, first : first + len(centres)]
                block[(block == 0.5).all(axis=1)] = 0.0
        return wide

    def slopes(self) -> Rows:
        """How fast a column's feature moves with it: (dim,)."""
        return np.array(
            [
                1.0 if centres is None else 1.0 / max(centres[-1] - centres[0], 1e-12)
                for centres in self._centres
            ]
        )

    def steps(self, row: Rows, active: NDArray[np.bool_]) -> Rows:
        """Rows that differ from one by another value of one finite column: (k, dim), not canonical.

        All values of choices and of short ordered columns; of longer ones those 1, 2, 4, ... away.

        Args:
            row: (dim,), canonical.
            active: (dim,).
        """
        changed: list[Rows] = []
        for column, centres in enumerate(self._centres):
            if centres is None or not active[column]:
                continue
            here = int(np.argmin(np.abs(centres - row[column])))
            for there in self._values_near(column, here, len(centres)):
                other = row.copy()
                other[column] = centres[there]
                changed.append(other)
        return np.stack(changed) if changed else np.empty((0, self.dim))

    def _values_near(self, column: int, here: int, count: int) -> list[int]:
        if self._is_choice[column] or count <= _RELAXED:
            return [there for there in range(count) if there != here]
        away = [2**k for k in range(int(math.log2(count)) + 1)]
        return [there for a in away for there in (here - a, here + a) if 0 <= there < count]


def is_ordered(names: Sequence[Value]) -> bool:
    """Whether choices are numbers that rise: ``0.1, 0.2`` or the names ``"1", "2"``."""
    try:
        numbers = [float(name) for name in names if name is not None and not isinstance(name, bool)]
    except ValueError:
        return False
    return len(numbers) == len(names) and all(a < b for a, b in itertools.pairwise(numbers))


def _meaning(parameter: Parameter) -> object:
    """Equal for parameters that differ only in the choice they stand under."""
    if not parameter.conditions:
        return parameter.label
    parent, value = parameter.conditions[-1]
    prefix = f"{parent}/{value}/"
    if not parameter.label.startswith(prefix):
        return parameter.label
    return (parent, parameter.label.removeprefix(prefix), parameter.domain)
