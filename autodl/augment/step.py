"""What the backends carry out: a sequence of steps, one op for each image of a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor


class Step(NamedTuple):
    """One op for each of n images, checked.

    Args:
        ops: (n,) int64 on the CPU, indices into `OP_NAMES`.
        magnitudes: (n,) float32 in the ops' units.
        places: (n, 2) float32 centres of Cutout; None: the middle.
    """

    ops: Tensor
    magnitudes: Tensor
    places: Tensor | None = None

    def rows(self, rows: slice) -> Step:
        """The step of some of the images."""
        return Step(self.ops[rows], self.magnitudes[rows], None if self.places is None else self.places[rows])


Backend = Callable[[Tensor, Sequence[Step]], Tensor]
"""(n, c, h, w) uint8 and at least one step to a new batch in the same layout."""
