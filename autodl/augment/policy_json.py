"""Policies as JSON: one format for all kinds, read without executing anything from the document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from autodl.errors import OptionError, UnknownNameError

if TYPE_CHECKING:
    from autodl.augment.policy_base import BatchPolicy

FORMAT = "autodl.augment.policy"
VERSION = 1

KINDS: dict[str, type[BatchPolicy]] = {}
"""Name of a class -> the class; filled as policies are defined."""


def write_document(kind: str, data: Mapping[str, Any]) -> str:
    """The document of a policy."""
    return json.dumps({"format": FORMAT, "version": VERSION, "kind": kind, **data}, allow_nan=False)


def policy_from_json(text: str | bytes) -> BatchPolicy:
    """Read a policy of any kind.

    Args:
        text: what a policy's `to_json` wrote.

    Raises:
        OptionError: not JSON, not a policy, from a newer version, or with values that are not allowed.

    Example:
        >>> from autodl.augment import RandAugment, policy_from_json
        >>> policy_from_json(RandAugment(n=1).to_json())
        RandAugment(n=1, magnitude=9, num_levels=31)
    """
    data = _document(text)
    kind = data.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise UnknownNameError("kind of policy", kind, tuple(sorted(KINDS)))
    try:
        return KINDS[kind].from_data(data)
    except (OptionError, OverflowError, RecursionError) as error:
        raise OptionError(f"damaged {kind} document: {error}") from error
    except TypeError as error:  # a missing or unexpected argument
        raise OptionError(f"damaged {kind} document, it holds {sorted(data)}: {error}") from error


def _document(text: str | bytes) -> dict[str, Any]:
    if not isinstance(text, str | bytes):
        raise OptionError(f"a policy document is a string, got {type(text).__name__}; read the file first")
    try:
        data = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise OptionError(f"not a policy: {error} in {text[:80]!r}") from error
    if not isinstance(data, dict) or data.pop("format", None) != FORMAT:
        raise OptionError(f'not a policy: no {{"format": "{FORMAT}", ...}} but {text[:80]!r}')
    version = data.pop("version", None)
    if version != VERSION or isinstance(version, bool):
        raise OptionError(
            f"a policy document of version {version!r}, this autodl reads version {VERSION}; "
            "write it again with this version, or install the autodl that wrote it"
        )
    return data


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of a policy")
