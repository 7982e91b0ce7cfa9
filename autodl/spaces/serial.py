"""Domains and parameters as JSON-able data and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autodl.errors import SpaceError
from autodl.spaces.base import Domain
from autodl.spaces.categorical import Categorical
from autodl.spaces.domains import Bool, Int, Real
from autodl.spaces.parameters import Parameter

FORMAT_VERSION = 1


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


def parameters_to_json(parameters: Sequence[Parameter]) -> dict[str, Any]:
    """A versioned dict of all parameters and their conditions."""
    rows = [
        {"label": p.label, "domain": domain_to_json(p.domain), "when": [list(c) for c in p.conditions]}
        for p in parameters
    ]
    return {"version": FORMAT_VERSION, "parameters": rows}


def parameters_from_json(data: Mapping[str, Any]) -> tuple[Parameter, ...]:
    """The parameters that `parameters_to_json` wrote.

    Raises:
        SpaceError: the data is damaged or of another version.
    """
    if not isinstance(data, Mapping) or data.get("version") != FORMAT_VERSION:
        raise SpaceError(f"not a search space of version {FORMAT_VERSION}: {str(data)[:80]}")
    try:
        rows = [
            Parameter(str(r["label"]), domain_from_json(r["domain"]), tuple((k, v) for k, v in r["when"]))
            for r in data["parameters"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise SpaceError(f"damaged search space: {error}") from error
    _check_conditions(rows)
    return tuple(rows)


def _check_conditions(parameters: list[Parameter]) -> None:
    """Refuse conditions on what is no earlier choice: nothing could ever activate them."""
    choices: dict[str, Categorical] = {}
    for p in parameters:
        for label, value in p.conditions:
            if label not in choices or choices[label].index(value) is None:
                raise SpaceError(f"damaged search space: {p.label} depends on {label!r} = {value!r}")
        if isinstance(p.domain, Categorical):
            choices[p.label] = p.domain
