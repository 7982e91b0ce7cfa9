"""Configs proposed so far, so that none is tried twice and a finite space comes to its end."""

from __future__ import annotations

import json

import numpy as np

from autodl.spaces.search_space import SearchSpace
from autodl.trial import Config

_TRIES = 32  # draws before the unseen rest is listed: enough until 9 in 10 configs were seen
_LOOKED_THROUGH = 1000  # configs
_LISTED = 50_000  # configs; larger spaces are never listed


def config_key(config: Config) -> str:
    """A config as a hashable value; ``1``, ``1.0`` and ``True`` differ."""
    return json.dumps(config, sort_keys=True)


class Unseen:
    """Draws configs of one space that were not seen before.

    Args:
        space: the space; an infinite one is not kept track of by `draw`.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self.size = space.size
        self._keys: set[str] = set()
        self._rest: list[Config] | None = None

    def __contains__(self, config: Config) -> bool:
        """Whether the config is still unseen."""
        return config_key(config) not in self._keys

    def see(self, config: Config) -> None:
        """From now on the config counts as seen."""
        self._keys.add(config_key(config))

    @property
    def is_listed(self) -> bool:
        """True for a space so small that a search looks through all of it."""
        return self.size is not None and self.size <= _LOOKED_THROUGH

    @property
    def used_up(self) -> bool:
        """True once a finite space has no unseen config left."""
        return self.size is not None and len(self._keys) >= self.size

    def draw(self, rng: np.random.Generator) -> Config | None:
        """An unseen config drawn at random, then seen; None once a finite space is used up.

        In a finite space of more than 50,000 configs of which all but a few are seen, the draw
        may repeat one.
        """
        if self.size is None:  # two draws never meet, so spare the memory and the time
            return self.space.sample(rng)
        if self.used_up:
            return None
        config = self._find(rng)
        self.see(config)
        return config

    def _find(self, rng: np.random.Generator) -> Config:
        for _ in range(_TRIES):
            config = self.space.sample(rng)
            if config in self:
                return config
        if self.size is None or self.size > _LISTED:
            return config
        if self._rest is None:  # listed once: a list a draw would make the last draws slow
            self._rest = [config for config in self.space.enumerate() if config in self]
        while True:
            position = int(rng.integers(len(self._rest)))
            self._rest[position], self._rest[-1] = self._rest[-1], self._rest[position]
            config = self._rest.pop()
            if config in self:
                return config
