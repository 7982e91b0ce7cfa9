"""Rows of a table, one JSON object a line, so that a benchmark that was cut goes on where it stood."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def stored(file: Path) -> list[Row]:
    """The rows of a file, none if there is no file."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def add(file: Path, row: Row) -> None:
    """Append a row, and show its single values."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as out:
        out.write(json.dumps(row) + "\n")
    print({key: value for key, value in row.items() if not isinstance(value, list | dict)}, flush=True)
