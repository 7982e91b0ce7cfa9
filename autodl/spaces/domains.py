"""Numbers and booleans that can vary: the leaves of a search space.

Every domain maps its values to the unit interval and back. A real value that comes from the
interval (drawn or proposed) carries about ten significant digits: journals read well, and going
to the interval and back gives exactly the same number, which full double precision cannot.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator
from dataclasses import dataclass, field

from autodl.errors import SpaceError
from autodl.spaces.base import Config, Domain, Space, Value, from_bin, to_bin

__all__ = ["Bool", "Config", "Domain", "Int", "Real", "Space", "Value"]

MAX_INT = 2**53  # beyond, an integer is not exact in JSON readers that use doubles
MAX_INT_VALUES = 2**50  # beyond, the bins of the unit interval are narrower than a double resolves
MAX_LOG_INT = 2**40
DIGITS = 10  # significant digits of a real value that comes from the unit interval


def _number(value: object, name: str, owner: str) -> float:
    """A finite Python float, or SpaceError."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise SpaceError(f"{owner}: {name} must be a number, got {value!r}")
    result = float(value)
    if not math.isfinite(result):
        raise SpaceError(f"{owner}: {name} must be finite, got {value!r}")
    return result


def _integer(value: object, name: str, owner: str) -> int:
    """A Python int, or SpaceError."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise SpaceError(f"{owner}: {name} must be an integer, got {value!r}")
    if abs(int(value)) > MAX_INT:
        raise SpaceError(f"{owner}: {name} must lie within +-2**53, got {value!r}; use Real")
    return int(value)


def _check_range(low: float, high: float, log: object, owner: str) -> None:
    if low > high:
        raise SpaceError(f"{owner}: low must not be above high, got low={low} and high={high}")
    if not isinstance(log, bool):
        raise SpaceError(f"{owner}: log must be True or False, got {log!r}")
    if log and low <= 0:
        raise SpaceError(f"{owner}: log=True needs low > 0, got low={low}; raise low or drop log")


def _shown(domain: Domain, low: float, high: float, log: bool, default: Value) -> str:
    scale = ", log=True" if log else ""
    return f"{type(domain).__name__}({low!r}, {high!r}{scale}, default={default!r})"


def _check_default(domain: Domain, owner: str) -> None:
    problem = domain.check(domain.default)
    if problem:
        raise SpaceError(f"{owner}: default {problem}")


@dataclass(frozen=True, slots=True, repr=False)
class Real(Domain):
    """A real number in [low, high].

    Args:
        low: smallest value, finite.
        high: largest value, finite, not below `low`.
        log: search on the log scale; needs ``low > 0``.
        default: tried first; the middle of the range (geometric with `log`) if not given.

    Raises:
        SpaceError: the range or the default is wrong.

    Example:
        >>> Real(1e-4, 1e-1, log=True).default
        0.00316227766
    """

    low: float
    high: float
    log: bool = field(default=False, kw_only=True)
    default: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        owner = f"Real({self.low!r}, {self.high!r})"
        object.__setattr__(self, "low", _number(self.low, "low", owner))
        object.__setattr__(self, "high", _number(self.high, "high", owner))
        _check_range(self.low, self.high, self.log, owner)
        if not math.isfinite(self.high - self.low):
            raise SpaceError(f"{owner}: high - low must be finite; use log=True with a narrower range")
        given = self.default
        value = self.from_unit(0.5) if given is None else _number(given, "default", owner)
        object.__setattr__(self, "default", value)
        _check_default(self, owner)

    def __repr__(self) -> str:
        return _shown(self, self.low, self.high, self.log, self.default)

    @property
    def size(self) -> int | None:
        """None, or 1 where ``low == high``."""
        return 1 if self.low == self.high else None

    def values(self) -> Iterator[float]:
        """The only value, where ``low == high``."""
        if self.size is None:
            raise SpaceError(f"{self!r} has infinitely many values")
        yield self.low

    def check(self, value: object) -> str | None:
        """What is wrong with a value; ints are welcome."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"must be a number, got {value!r} ({type(value).__name__})"
        if not self.low <= value <= self.high:  # NaN ends here too
            return f"must lie in [{self.low}, {self.high}], got {value!r}"
        return None

    def to_unit(self, value: float) -> float:
        """Linear in the value, or in its logarithm."""
        if self.low == self.high:
            return 0.5
        if self.log:
            start, width = self._log_scale()
            return (math.log(value) - start) / width
        return (value - self.low) / (self.high - self.low)

    def from_unit(self, point: float) -> float:
        """The value at a point, rounded to about ten significant digits."""
        if point <= 0.0 or self.low == self.high:
            return self.low
        if point >= 1.0:
            return self.high
        if self.log:
            start, width = self._log_scale()
            value = float(f"{math.exp(start + point * width):.{DIGITS}g}")
        else:
            value = round(self.low + point * (self.high - self.low), self._decimals())
        return min(max(value, self.low), self.high)

    def _log_scale(self) -> tuple[float, float]:
        """Start and width on the log scale; a difference, for the quotient can overflow."""
        start = math.log(self.low)
        return start, math.log(self.high) - start

    def _decimals(self) -> int:
        """Decimals that keep ten digits of the range, yet fewer than rounding errors reach."""
        span = math.floor(math.log10(self.high - self.low)) - DIGITS
        largest = math.floor(math.log10(max(abs(self.low), abs(self.high)))) - 13
        return -max(span, largest)


@dataclass(frozen=True, slots=True, repr=False)
class Int(Domain):
    """A whole number in [low, high], both ends included.

    Args:
        low: smallest value.
        high: largest value, not below `low`.
        log: search on the log scale; needs ``low >= 1``.
        default: tried first; the middle of the range (geometric with `log`) if not given.

    Raises:
        SpaceError: the range or the default is wrong.

    Example:
        >>> list(Int(1, 3).values())
        [1, 2, 3]
    """

    low: int
    high: int
    log: bool = field(default=False, kw_only=True)
    default: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        owner = f"Int({self.low!r}, {self.high!r})"
        object.__setattr__(self, "low", _integer(self.low, "low", owner))
        object.__setattr__(self, "high", _integer(self.high, "high", owner))
        _check_range(self.low, self.high, self.log, owner)
        if self.size > MAX_INT_VALUES or (self.log and self.high > MAX_LOG_INT):
            limit = "high <= 2**40 with log=True" if self.log else "at most 2**50 values"
            raise SpaceError(f"{owner}: the range is too wide ({limit}); use Real and round")
        given = self.default
        value = self._middle() if given is None else _integer(given, "default", owner)
        object.__setattr__(self, "default", value)
        _check_default(self, owner)

    def _middle(self) -> int:
        return round(math.sqrt(self.low * self.high)) if self.log else self.from_unit(0.5)

    def __repr__(self) -> str:
        return _shown(self, self.low, self.high, self.log, self.default)

    @property
    def size(self) -> int:
        """The number of integers in the range."""
        return self.high - self.low + 1

    def values(self) -> Iterator[int]:
        """All integers from low to high."""
        return iter(range(self.low, self.high + 1))

    def check(self, value: object) -> str | None:
        """What is wrong with a value; 3.0 is not an integer here."""
        if isinstance(value, bool) or not isinstance(value, int):
            return f"must be an integer, got {value!r} ({type(value).__name__})"
        if not self.low <= value <= self.high:
            return f"must lie in [{self.low}, {self.high}], got {value!r}"
        return None

    def to_unit(self, value: int) -> float:
        """The centre of the value's bin; with `log` bins are as wide as (v - 0.5, v + 0.5) on that scale."""
        if not self.log:
            return to_bin(value - self.low, self.size)
        start, width = self._log_scale()
        return (math.log(value) - start) / width

    def from_unit(self, point: float) -> int:
        """The value whose bin holds the point."""
        if not self.log:
            return self.low + from_bin(point, self.size)
        start, width = self._log_scale()
        value = math.floor(math.exp(start + min(max(point, 0.0), 1.0) * width) + 0.5)
        return min(max(value, self.low), self.high)

    def _log_scale(self) -> tuple[float, float]:
        """Start and width of [low - 0.5, high + 0.5] on the log scale."""
        start = math.log(self.low - 0.5)
        return start, math.log(self.high + 0.5) - start


@dataclass(frozen=True, slots=True)
class Bool(Domain):
    """True or False.

    Args:
        default: tried first; False if not given.
    """

    default: bool | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "default", False if self.default is None else self.default)
        _check_default(self, "Bool")

    @property
    def size(self) -> int:
        """2."""
        return 2

    def values(self) -> Iterator[bool]:
        """False, True."""
        return iter((False, True))

    def check(self, value: object) -> str | None:
        """What is wrong with a value; 0 and 1 are not booleans here."""
        return None if isinstance(value, bool) else f"must be True or False, got {value!r}"

    def to_unit(self, value: bool) -> float:
        """0.25 or 0.75."""
        return to_bin(int(value), 2)

    def from_unit(self, point: float) -> bool:
        """True in the upper half."""
        return from_bin(point, 2) == 1
