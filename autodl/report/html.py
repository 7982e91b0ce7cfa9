"""The HTML report: one file, no script, nothing fetched, readable on a phone and in the dark."""

from __future__ import annotations

import base64
import os
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from autodl.errors import OptionError
from autodl.report.content import AuditIssue, Confusion, ReportContent, Table
from autodl.report.wording import count, format_config_value, format_value
from autodl.trial import Value

MATRIX_CLASSES = 30
"""A confusion matrix of more classes is shown as its most frequent confusions instead."""

ISSUES_SHOWN = 40
"""Files listed for each kind of issue; the rest is counted."""

MISTAKES_SHOWN = 12
"""Mistakes in plain sight; the rest unfolds."""

_ACRONYMS = {"exif": "EXIF", "cmyk": "CMYK", "16": "16", "png": "PNG", "jpeg": "JPEG"}
_MAGIC = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg"}


def write_report(content: ReportContent, path: str | os.PathLike[str]) -> Path:
    """Write a report; an existing file is replaced whole or not at all.

    Args:
        content: what it says.
        path: of the file; missing folders are made.

    Returns:
        The path written.
    """
    target = Path(path)
    if target.is_dir():
        raise OptionError(f"the report's path {str(target)!r} is a folder; name a file such as report.html")
    # File names that are not valid UTF-8 reach Python as lone surrogates, which cannot be written.
    page = render(content).encode("utf-8", "backslashreplace")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name[:40]}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(page)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return target


def render(content: ReportContent) -> str:
    """The report as HTML. All text is escaped; only `ReportFigure.svg` is taken as markup."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        breakable=_breakable,
        config_value=format_config_value,
        data_uri=_data_uri,
        percent=_percent,
        issue_kind=_issue_kind,
    )
    environment.globals.update(
        count=count,
        typeset=_typeset,
        issue_groups=_issue_groups,
        issues_shown=ISSUES_SHOWN,
        mistakes_shown=MISTAKES_SHOWN,
        matrix=_matrix,
        matrix_classes=MATRIX_CLASSES,
        confused_pairs=_confused_pairs,
        trusted=Markup,
    )
    return environment.get_template("template.html").render(c=content)


def _breakable(text: str) -> Markup:
    """Lets a browser break a long label or path after its separators."""
    shown = str(escape(text))
    for separator in "/_.":
        shown = shown.replace(separator, f"{separator}<wbr>")
    return Markup(shown)


def _data_uri(image: bytes) -> str:
    """Raises OptionError unless the bytes are a PNG or JPEG file."""
    for magic, kind in _MAGIC.items():
        if image.startswith(magic):
            return f"data:{kind};base64,{base64.b64encode(image).decode('ascii')}"
    raise OptionError(f"a picture in a report must be a PNG or JPEG file, got bytes {image[:8]!r}")


def _percent(share: float) -> str:
    """Never says 100 % or 0 % of what is only close to it."""
    if 0.0 < share < 0.005:
        return "<\u00a01\u00a0%"
    if 0.995 <= share < 1.0:
        return ">\u00a099\u00a0%"
    return f"{share:.0%}".replace("%", "\u00a0%")


def _issue_kind(kind: str) -> str:
    """``"exif_rotated"`` -> ``"EXIF rotated"``."""
    words = " ".join(_ACRONYMS.get(word, word) for word in kind.split("_"))
    return words[:1].upper() + words[1:]


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    numeric: bool
    cells: tuple[str, ...]


def _typeset(table: Table) -> list[_Column]:
    """A table by column: numbers of one column get one format, so that their points line up."""
    columns = []
    for index, name in enumerate(table.columns):
        cells = [row[index] for row in table.rows]
        present = [cell for cell in cells if cell is not None]
        numbers = [c for c in present if isinstance(c, int | float) and not isinstance(c, bool)]
        numeric = bool(present) and len(numbers) == len(present)
        floats = [abs(c) for c in numbers if isinstance(c, float) and c != 0.0]
        if numeric and floats and min(floats) >= 0.01 and max(floats) < 1000.0:
            shown = tuple("" if c is None else f"{c:.4f}" for c in cells)
        else:
            shown = tuple(format_value(cell) for cell in cells)
        columns.append(_Column(name, numeric, shown))
    return columns


def _issue_groups(issues: Sequence[AuditIssue]) -> list[tuple[str, str, list[AuditIssue]]]:
    """(kind, action, issues): what was skipped first, then the most frequent."""
    groups: dict[tuple[str, str], list[AuditIssue]] = {}
    for issue in issues:
        groups.setdefault((issue.kind, issue.action), []).append(issue)
    order = sorted(groups.items(), key=lambda item: (item[0][1] != "skipped", -len(item[1]), item[0]))
    return [(kind, action, found) for (kind, action), found in order]


def _matrix(confusion: Confusion) -> list[tuple[str, list[tuple[int, float]], float | None]]:
    """By true class: its name, (count, share of the row) for each prediction, and the share that is right."""
    rows = []
    for index, (name, counts) in enumerate(zip(confusion.class_names, confusion.counts, strict=True)):
        total = sum(counts)
        cells = [(n, n / total if total else 0.0) for n in counts]
        rows.append((name, cells, cells[index][1] if total else None))
    return rows


def _confused_pairs(confusion: Confusion, most: int = 25) -> Table:
    """The most frequent confusions."""
    pairs: Counter[tuple[int, int]] = Counter()
    for true, counts in enumerate(confusion.counts):
        for predicted, number in enumerate(counts):
            if number and true != predicted:
                pairs[true, predicted] = number
    names = confusion.class_names
    rows: list[tuple[Value, ...]] = []
    for (true, predicted), number in pairs.most_common(most):
        share = number / sum(confusion.counts[true])
        rows.append((names[true], names[predicted], number, _percent(share)))
    columns = ("true class", "taken for", "images", "share of the class")
    return Table(columns, tuple(rows), left_out=len(pairs) - len(rows))
