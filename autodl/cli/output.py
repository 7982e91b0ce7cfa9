"""What commands write to stdout: JSON for scripts, aligned columns for people."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

GAP = "  "


def write_json(value: Any) -> None:
    """Strict JSON on stdout, ASCII only, so that every terminal and parser takes it."""
    typer.echo(json.dumps(plain(value), indent=2, allow_nan=False))


def plain(value: Any) -> Any:
    """The value as JSON holds it: numpy's scalars as Python's, NaN and infinities as null, paths as text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if not isinstance(value, (str, bool, int, float)) and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_bytes(content: bytes, path: Path | None) -> None:
    """To a file, or to stdout as it is if `path` is None."""
    if path is None:
        typer.echo(content, nl=False)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def write_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """``name  value`` a line, values aligned."""
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        typer.echo(f"{name:<{width}}{GAP}{value}")


def format_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Aligned columns, numbers to the right; missing cells are blank, columns without a value left out.

    Args:
        columns: their names.
        rows: cells in the columns' order; None and NaN are missing.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    kept = [i for i in range(len(columns)) if not rows or any(row[i] for row in cells)]
    lines = [[columns[i] for i in kept], *([row[i] for i in kept] for row in cells)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(kept))]
    numeric = [all(_is_number(row[i]) for row in rows) for i in kept]
    return "\n".join(
        GAP.join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in lines
    )


def _is_number(value: object) -> bool:
    return _is_missing(value) or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _cell(value: object) -> str:
    from autodl.report.wording import format_value  # noqa: PLC0415  # keeps the command's help fast

    return "" if _is_missing(value) else format_value(value)
