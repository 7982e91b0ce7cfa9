"""Domains as JSON-able dicts and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autodl.errors import SpaceError
from autodl.spaces.categorical import Categorical
from autodl.spaces.domains import Bool, Domain, Int, Real


def domain_to_json(domain: Domain) -> dict[str, Any]:
    """A dict with ``type`` and the domain's arguments; a categorical's choices as configs show them."""
    match domain:
        case Real() | Int():
            kind = type(domain).__name__.lower()
            return {
                "type": kind,
                "low": domain.low,
                "high": domain.high,
                "log": domain.log,
                "default": domain.default,
            }
        case Bool():
            return {"type": "bool", "default": domain.default}
        case Categorical():
            return {"type": "categorical", "choices": list(domain.names), "default": domain.default}
    raise SpaceError(f"{type(domain).__name__} has no JSON form; use Real, Int, Bool or Categorical")


def domain_from_json(data: Mapping[str, Any]) -> Domain:
    """The domain that `domain_to_json` wrote.

    Raises:
        SpaceError: an unknown type or a wrong argument.
        KeyError: an argument is missing.
    """
    match data["type"]:
        case "real":
            return Real(data["low"], data["high"], log=data["log"], default=data["default"])
        case "int":
            return Int(data["low"], data["high"], log=data["log"], default=data["default"])
        case "bool":
            return Bool(data["default"])
        case "categorical":
            return Categorical(list(data["choices"]), default=data["default"])
    raise SpaceError(f"unknown domain type {data['type']!r}; known: real, int, bool, categorical")
