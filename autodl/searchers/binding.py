"""What a searcher knows of its run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from autodl.errors import OptionError
from autodl.rng import trial_rng
from autodl.spaces.search_space import SearchSpace


@dataclass(frozen=True, slots=True)
class Binding:
    """The arguments of a searcher's `bind`, kept together.

    Attributes:
        space: what configs must belong to.
        seed: the run's seed, >= 0.
    """

    space: SearchSpace
    seed: int

    def rng(self, trial_id: int) -> np.random.Generator:
        """The generator of one trial's proposal."""
        return trial_rng(self.seed, trial_id)


def bound(binding: Binding | None, searcher: object) -> Binding:
    """The binding of a searcher that was bound.

    Raises:
        OptionError: `suggest` came before `bind`.
    """
    if binding is None:
        raise OptionError(f"{searcher!r} knows no space yet: call bind(space, seed=...) before suggest")
    return binding
