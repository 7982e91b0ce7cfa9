"""Numbers, durations and errors in words, the same in the progress display, plots and reports."""

from __future__ import annotations

import math

from autodl.trial import Value

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def format_duration(seconds: float) -> str:
    """A duration in its two largest units: ``"0.4 s"``, ``"12 s"``, ``"3 min 20 s"``, ``"1 h 5 min"``.

    Args:
        seconds: the duration; negative ones count as 0.

    Example:
        >>> format_duration(200)
        '3 min 20 s'
    """
    if not math.isfinite(seconds):
        return "unlimited" if seconds > 0 else "0 s"
    seconds = max(0.0, seconds)
    if seconds < 9.95:
        return f"{seconds:.1f} s" if seconds >= 0.05 else "0 s"
    left = round(seconds)
    parts: list[tuple[int, str]] = []
    for unit, size in _UNITS:
        count, rest = divmod(left, size)
        if count or parts:
            parts.append((count, unit))
            left = rest
        if len(parts) == 2:
            break
    return " ".join(f"{count} {unit}" for count, unit in parts if count)


def format_value(value: object) -> str:
    """A metric or a config value, short enough for a table cell: four significant digits.

    Example:
        >>> format_value(0.000123456), format_value(0.91), format_value(None)
        ('0.0001235', '0.91', '')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def format_config_value(value: Value) -> str:
    """A config value as it stands in a config; unlike `format_value`, None is written out."""
    return "None" if value is None else format_value(value)


def count(number: int, noun: str, plural: str = "") -> str:
    """``count(1, "trial") == "1 trial"``, ``count(2000, "trial") == "2,000 trials"``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def printable(text: str, encoding: str = "utf-8") -> str:
    """Text that `encoding` can hold; the rest (file names in another encoding) as escapes."""
    return text.encode(encoding, "backslashreplace").decode(encoding)


def error_summary(error: str | None, limit: int = 160) -> str:
    """The one line of a reason or traceback that says what went wrong, at most `limit` characters."""
    lines = [line.strip() for line in (error or "").splitlines() if line.strip()]
    if not lines:
        return "no reason recorded"
    line = lines[-1] if lines[0].startswith("Traceback") else lines[0]
    return line if len(line) <= limit else line[: limit - 3] + "..."
