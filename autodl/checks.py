"""Checks of arguments that many constructors share."""

from __future__ import annotations

from autodl.errors import OptionError


def is_whole(value: object, least: int) -> bool:
    """True for a whole number of at least `least`; a bool is none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def check_whole(name: str, value: object, least: int = 1) -> None:
    """Refuse anything but a whole number of at least `least`.

    Raises:
        OptionError: names the argument, its value and what is allowed.
    """
    if not is_whole(value, least):
        raise OptionError(f"{name} must be a whole number >= {least}, got {value!r}")
