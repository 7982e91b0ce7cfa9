"""``run.json``: the arguments of a fit, kept in its run directory so that it can be resumed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from autodl.augment import BatchPolicy, policy_from_json
from autodl.errors import JournalError, OptionError
from autodl.journal import read_journal
from autodl.models.weights_io import write_atomically
from autodl.nas import Units
from autodl.nas.space_factory import PublishedSpace
from autodl.nas.spaces.registry import SPACES, space_from_json

FILE = "run.json"
VERSION = 1
LEAST_REST_S = 10.0


def exists(path: Path) -> bool:
    """Whether a run was begun at the path; arguments alone are what a failed start leaves."""
    return (path / "journal.jsonl").exists()


def write(path: Path, params: Mapping[str, Any]) -> None:
    """Keep the arguments; those that JSON cannot hold are named, for the caller to pass again."""
    kept, left_out = {}, []
    for name, value in params.items():
        if name == "path":
            continue
        plain = _plain(value)
        if plain is _NOT_PLAIN:
            left_out.append(name)
        else:
            kept[name] = plain
    document = {"version": VERSION, "params": kept, "left_out": left_out}
    write_atomically(path / FILE, json.dumps(document, indent=1).encode())


_NOT_PLAIN = object()


POLICY_KEY = "autodl.augment"
"""Key under which a policy's own document stands."""


SPACE_KEY = "autodl.nas"
"""Key under which a published space's own document stands."""


def _plain(value: Any) -> Any:
    if isinstance(value, PublishedSpace):
        known = SPACES.get(value.name) is type(value)
        return {SPACE_KEY: value.to_json()} if known else _NOT_PLAIN
    if isinstance(value, type | Units):
        return _NOT_PLAIN
    if isinstance(value, BatchPolicy):
        return {POLICY_KEY: json.loads(value.to_json())}
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Path):
        return str(value)
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return _NOT_PLAIN
    return value


def read(path: Path, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of the run at a path.

    Args:
        path: the run directory.
        changes: arguments given anew; those that the file could not hold must be among them.

    Raises:
        JournalError: there is no run, or its file is damaged.
        OptionError: an argument is missing.
    """
    try:
        document = json.loads((path / FILE).read_text())
        version = document["version"]
        params = {name: _restored(value) for name, value in document["params"].items()}
        left_out = [name for name in document["left_out"] if name not in changes]
    except FileNotFoundError as error:
        raise JournalError(f"there is no run to resume at {path}") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise JournalError(f"{path / FILE} is damaged: {error}") from error
    if not isinstance(version, int) or version > VERSION:
        raise JournalError(
            f"{path / FILE} has version {version}, this autodl reads up to {VERSION}: upgrade autodl"
        )
    if left_out:
        names = ", ".join(f"{name}=..." for name in left_out)
        raise OptionError(f"the run at {path} was started with objects of your own; pass them again: {names}")
    params |= {**changes, "path": str(path)}
    return params


def _restored(value: Any) -> Any:
    """A policy or a space from its document; anything else as it is."""
    if isinstance(value, dict) and value.keys() == {SPACE_KEY}:
        return space_from_json(value[SPACE_KEY])
    if isinstance(value, dict) and value.keys() == {POLICY_KEY}:
        return policy_from_json(json.dumps(value[POLICY_KEY]))
    return value


def rest_of(path: Path, time_limit_s: float) -> float:
    """What is left of a run's time limit, in seconds: at least a little, to finish in.

    Raises:
        JournalError: the journal is damaged.
    """
    return max(LEAST_REST_S, time_limit_s - elapsed_s(path))


def elapsed_s(path: Path) -> float:
    """Seconds on the clock of the run at a path, over all its sessions; 0 where none was begun.

    Raises:
        JournalError: the journal is damaged.
    """
    journal = path / "journal.jsonl"
    events = read_journal(journal) if journal.exists() else []
    return max((float(event["s"]) for event in events if "s" in event), default=0.0)
