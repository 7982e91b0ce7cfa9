"""Time limits as people write them."""

from __future__ import annotations

import math
import numbers
import re
from datetime import timedelta
from typing import Any

from autodl.errors import OptionError

UNIT_S = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_NAMES = {"d": "days?", "h": "hours?|hrs?|hr", "m": "minutes?|mins?", "s": "seconds?|secs?"}
_NUMBER = r"(\d+(?:\.\d*)?|\.\d+)"
_PATTERN = re.compile(
    "".join(rf"(?:{_NUMBER}\s*(?:{_NAMES[unit]}|{unit})\s*)?" for unit in UNIT_S), re.ASCII | re.IGNORECASE
)


def parse_time_limit(limit: str | float | timedelta | None) -> float | None:
    """A time limit in seconds.

    Args:
        limit: seconds; a text such as "90s", "10m", "1h30m", "1.5 hours", "2d"; a timedelta; None: no limit.

    Returns:
        Seconds > 0, or None.

    Raises:
        OptionError: the limit is not positive, not finite or not understood.

    Example:
        >>> parse_time_limit("1h30m")
        5400.0
    """
    if limit is None:
        return None
    value: Any = limit
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
    elif isinstance(value, str):
        seconds = _parse_text(value)
    elif not isinstance(value, bool) and isinstance(value, numbers.Real):  # numpy's scalars too
        seconds = float(value)
    else:
        raise OptionError(f"time_limit must be seconds, a text such as '10m' or None, got {limit!r}")
    if not (seconds > 0 and math.isfinite(seconds)):
        raise OptionError(f"time_limit must be positive and finite, got {limit!r}; None means no limit")
    return seconds


def _parse_text(text: str) -> float:
    """Seconds of a text: plain seconds, or numbers with units, the largest unit first."""
    stripped = text.strip()
    try:
        return float(stripped)
    except ValueError:
        match = _PATTERN.fullmatch(stripped)
    if match is None or not stripped:
        raise OptionError(f"time_limit {text!r} is not understood; write '90s', '10m', '1h30m' or seconds")
    counts = zip(match.groups(), UNIT_S.values(), strict=True)
    return sum(float(number) * unit for number, unit in counts if number)
