"""Time limits as people write them: ``"10m"``, ``"1h30m"``, seconds, a ``timedelta``."""

from __future__ import annotations

import math
import re
from datetime import timedelta

from autodl.errors import OptionError

_UNIT_S = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")
_WORDS = {
    "sec": "s", "secs": "s", "second": "s", "seconds": "s",
    "min": "m", "mins": "m", "minute": "m", "minutes": "m",
    "hr": "h", "hrs": "h", "hour": "h", "hours": "h",
    "day": "d", "days": "d",
}  # fmt: skip


def parse_time_limit(limit: str | float | timedelta | None) -> float | None:
    """A time limit in seconds.

    Args:
        limit: ``"90s"``, ``"10m"``, ``"1h30m"``, ``"2 hours"``, ``"90"`` (seconds), a number of
            seconds, a ``timedelta``; None: no limit.

    Returns:
        Seconds, > 0; None for no limit.

    Raises:
        OptionError: zero, negative, not finite, or not understood.

    Example:
        >>> parse_time_limit("1h30m")
        5400.0
    """
    if limit is None:
        return None
    if isinstance(limit, timedelta):
        seconds = limit.total_seconds()
    elif isinstance(limit, str):
        seconds = _parse_text(limit)
    elif isinstance(limit, (int, float)) and not isinstance(limit, bool):
        seconds = float(limit)
    else:
        raise _not_understood(limit)
    if not (math.isfinite(seconds) and seconds > 0):
        raise OptionError(
            f"time_limit must be a positive, finite time, got {limit!r}; leave it out (None) for no limit"
        )
    return seconds


def _parse_text(text: str) -> float:
    """Sum the parts of a text such as ``1h30m``; a bare number is seconds."""
    cleaned = text.strip().lower()
    total, position = 0.0, 0
    if cleaned.startswith("-"):
        raise OptionError(f"time_limit must be a positive, finite time, got {text!r}")
    while position < len(cleaned):
        match = _PART.match(cleaned, position)
        if match is None:
            raise _not_understood(text)
        number, word = match.groups()
        unit = _WORDS.get(word, word)
        bare_number = unit == "" and match.end() == len(cleaned) and position == 0
        if unit not in _UNIT_S and not bare_number:
            raise _not_understood(text)
        total += float(number) * _UNIT_S.get(unit, 1.0)
        position = match.end()
        while position < len(cleaned) and cleaned[position] in " ,":
            position += 1
    if position == 0:
        raise _not_understood(text)
    return total


def _not_understood(limit: object) -> OptionError:
    return OptionError(
        f"time_limit {limit!r} is not understood; write seconds (600), '90s', '10m' or '1h30m'"
    )
