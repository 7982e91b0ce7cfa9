"""What domains and nested spaces have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

Value = int | float | bool | str | None
"""What a config may hold: JSON scalars."""

Config = dict[str, Value]
"""A flat config, ``label -> value``; nested spaces use ``/`` in labels; inactive labels are absent."""


class Space:
    """Anything that can vary, alone or by what it holds. Domains and composites derive from it."""

    __slots__ = ()


class Domain(Space, ABC):
    """A set of values for one label of a config.

    Attributes:
        default: a value of the domain, tried first where nothing better is known.
    """

    __slots__ = ()
    default: Value

    @property
    @abstractmethod
    def size(self) -> int | None:
        """The number of values; None: infinitely many."""

    @abstractmethod
    def values(self) -> Iterator[Value]:
        """All values in order, for a finite domain.

        Raises:
            SpaceError: the domain is infinite.
        """

    @abstractmethod
    def check(self, value: object) -> str | None:
        """What is wrong with a value, in words; None if it belongs to the domain."""

    @abstractmethod
    def to_unit(self, value: Any) -> float:
        """The point in [0, 1] that stands for a value of the domain."""

    @abstractmethod
    def from_unit(self, point: float) -> Value:
        """The value at a point; points outside [0, 1] count as its nearest end."""

    def sample(self, rng: np.random.Generator) -> Value:
        """A value drawn uniformly (on the log scale where ``log``)."""
        return self.from_unit(float(rng.random()))


def to_bin(index: int, count: int) -> float:
    """The centre of bin `index` when [0, 1] is cut into `count` equal bins."""
    return (index + 0.5) / count


def from_bin(point: float, count: int) -> int:
    """The bin that holds `point`; points outside [0, 1] count as its nearest end."""
    return min(max(int(point * count), 0), count - 1)


def detach(value: Any, leaf: Callable[[Any], Any] = lambda value: value) -> Any:
    """A value with its plain containers copied, so that its giver can change theirs later.

    Args:
        value: a space, a constant, or plain containers of them.
        leaf: applied to what is no plain container.
    """
    if type(value) is dict:
        return {k: detach(v, leaf) for k, v in value.items()}
    if type(value) in (list, tuple, set):
        return type(value)(detach(v, leaf) for v in value)
    return bytearray(value) if type(value) is bytearray else leaf(value)
