"""Points that fill the unit cube more evenly than independent draws."""

from __future__ import annotations

from typing import Any

import numpy as np

from autodl.rng import derive_seed
from autodl.searchers.features import Rows


class SobolPoints:
    """A scrambled Sobol sequence, any point of it by its number.

    Source: I. Sobol (1967); scrambling: A. Owen (1998), J. Matousek (1998), as in scipy.

    Args:
        dim: coordinates of a point.
        seed: the scrambling; the run's seed.
    """

    def __init__(self, dim: int, seed: int) -> None:
        self.dim = dim
        self._seed = seed
        self._sequence: Any = None

    def point(self, index: int) -> Rows | None:
        """A point of the sequence: (dim,).

        None if there is none: no coordinates, or more than the 21,201 that scipy has directions for.

        Args:
            index: its number, from 0.
        """
        from scipy.stats import qmc  # noqa: PLC0415  # heavy, and not every searcher needs it

        if not 0 < self.dim <= qmc.Sobol.MAXDIM:
            return None
        if self._sequence is None:
            self._sequence = qmc.Sobol(self.dim, rng=np.random.default_rng(derive_seed(self._seed, "sobol")))
        if index < self._sequence.num_generated:
            self._sequence.reset()
        steps = index - self._sequence.num_generated
        if steps > 0:  # scipy refuses to go no step forward
            self._sequence.fast_forward(steps)
        point: Rows = self._sequence.random(1)[0]
        return point
