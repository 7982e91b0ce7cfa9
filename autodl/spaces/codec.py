"""Configs as points of the unit cube, for searchers that work with vectors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from autodl.errors import ConfigError
from autodl.spaces.base import Config, Value

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from autodl.spaces.search_space import SearchSpace


class UnitCubeCodec:
    """One column per label, in [0, 1]; NaN where the label is inactive.

    Real values are scaled linearly or by their logarithm; integers, booleans and choices stand in
    the middle of equal bins (log bins for integers with ``log``). `decode` after `encode` gives
    every config back exactly, as long as its real values come from `decode`, from
    ``SearchSpace.sample`` or are decimal numbers of up to ten digits of the range; others come
    back within 1e-9 of the range (relative to the value with ``log``).

    Args:
        space: whose configs are encoded.

    Example:
        >>> from autodl.spaces import Bool, Real, SearchSpace
        >>> codec = UnitCubeCodec(SearchSpace({"lr": Real(0, 10), "flip": Bool()}))
        >>> codec.encode({"lr": 2.5, "flip": True}).tolist()
        [0.25, 0.75]
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space

    @property
    def dim(self) -> int:
        """The number of columns."""
        return len(self.space.parameters)

    def encode(self, config: Mapping[str, Value]) -> NDArray[np.float64]:
        """The point of a valid config: (dim,), NaN where inactive.

        Raises:
            ConfigError: the config does not belong to the space.
        """
        self.space.validate(config)
        point = np.full(self.dim, np.nan)
        for column, parameter in enumerate(self.space.parameters):
            if parameter.label in config:
                point[column] = parameter.domain.to_unit(config[parameter.label])
        return point

    def encode_many(self, configs: list[Config]) -> NDArray[np.float64]:
        """The points of several configs: (n, dim)."""
        return np.stack([self.encode(c) for c in configs]) if configs else np.empty((0, self.dim))

    def decode(self, point: ArrayLike) -> Config:
        """The config at a point: (dim,). Values outside [0, 1] count as its nearest end.

        Columns of labels that turn out inactive are ignored, whatever they hold.

        Raises:
            ConfigError: the shape is wrong, or the column of an active label is NaN.
        """
        values = np.asarray(point, dtype=np.float64)
        if values.shape != (self.dim,):
            raise ConfigError(f"a point of this space has shape ({self.dim},), got {values.shape}")
        config: Config = {}
        for value, parameter in zip(values.tolist(), self.space.parameters, strict=True):
            if parameter.is_active(config):
                if math.isnan(value):
                    raise ConfigError(f"{parameter.label} is active here, but its column is NaN")
                config[parameter.label] = parameter.domain.from_unit(value)
        return config
