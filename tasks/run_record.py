"""JSON files beside a run's journal that hold what was settled before its trials."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from autodl.errors import AutoDLError, JournalError
from autodl.models.weights_io import write_atomically

T = TypeVar("T")


def write_record(file: Path, version: int, values: Mapping[str, Any]) -> None:
    """Keep plain values with their version; the file is there whole or not at all."""
    text = json.dumps({"version": version, **values}, indent=1, allow_nan=False)
    write_atomically(file, text.encode())


def read_record(file: Path, version: int, restore: Callable[[Mapping[str, Any]], T]) -> T | None:
    """What `restore` makes of a record; None where none was written.

    Args:
        file: as `write_record` wrote it.
        version: the newest that is understood.
        restore: gets the values, the version among them.

    Raises:
        JournalError: the file is damaged, or from a newer version.
    """
    try:
        document = json.loads(file.read_text())
        if document["version"] > version:
            raise JournalError(
                f"{file} has version {document['version']}, this autodl reads up to {version}: upgrade autodl"
            )
        return restore(document)
    except FileNotFoundError:
        return None
    except JournalError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, AutoDLError) as error:
        raise JournalError(
            f"{file} is damaged ({type(error).__name__}: {error}); without it the run cannot be "
            "resumed: start again with another path"
        ) from error
