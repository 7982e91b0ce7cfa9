"""What the audit found: one line per oddity of one file, and what was done about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodl.data.labels import ClassMap
from autodl.data.table import Ignored, name_some
from autodl.errors import DataError

EXPLAINED = {
    "missing": "file not found",
    "zero_byte": "empty file",
    "truncated": "file ends too early",
    "unreadable": "cannot be decoded",
    "not_read": "not reached before the time limit",
    "no_label": "no label",
    "animated": "animated or many pages: the first frame is used",
    "cmyk": "CMYK colours: converted to RGB",
    "16_bit": "16 bits or floats: converted to 8 bits",
    "palette": "palette colours: converted to RGB",
    "alpha": "transparent: put on white",
    "exif_rotated": "turned upright as its EXIF says",
    "huge": "very many pixels: shrunk while reading",
    "tiny": "shorter side below 8 pixels",
    "extreme_aspect": "more than 4 times as long as wide: only the centre is used",
    "wrong_extension": "the suffix names another format than the file has",
    "duplicate": "same pixels as another image: kept on one side of every split",
    "conflicting_label": "same pixels as an image with another label",
}
"""What each kind of issue means, for people."""

CONVERTED = frozenset({"animated", "cmyk", "16_bit", "palette", "alpha", "exif_rotated", "huge"})
"""The kinds where the pixels were changed."""


@dataclass(frozen=True, slots=True)
class ImageIssue:
    """One oddity of one image.

    Args:
        index: the image's row in the table; -1 for a file that is not in it.
        name: the image's name.
        kind: a key of `EXPLAINED`, or "ignored".
        action: "skipped", "converted", "kept" or "ignored".
        detail: the decoder's words, the other file's name, ...
    """

    index: int
    name: str
    kind: str
    action: str
    detail: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class AuditReport:
    """The result of reading every image once.

    Args:
        origin: where the data comes from.
        total: how many images the table has.
        kept: (k,) int64, the rows of the table that can be used, ascending.
        groups: (k,) int64, one number per kept image; duplicates share it.
        issues: all oddities, by row.
        class_counts: kept images a class, by the class's name.
    """

    origin: str
    total: int
    kept: np.ndarray
    groups: np.ndarray
    issues: tuple[ImageIssue, ...]
    class_counts: Mapping[str, int]

    @property
    def counts(self) -> dict[str, int]:
        """How many issues of each kind, the most frequent first."""
        return dict(Counter(issue.kind for issue in self.issues).most_common())

    @property
    def skipped(self) -> tuple[ImageIssue, ...]:
        """The images that are left out."""
        return tuple(issue for issue in self.issues if issue.action == "skipped")

    def names(self, kind: str) -> list[str]:
        """The names of the files with one kind of issue."""
        return [issue.name for issue in self.issues if issue.kind == kind]

    def __repr__(self) -> str:
        return f"AuditReport({len(self.kept)} of {self.total} images usable, issues: {self.counts})"

    def summary(self, most: int = 3) -> str:
        """A few lines for people: counts, kinds, the first names of each.

        Args:
            most: how many names a line.
        """
        lines = [f"{len(self.kept)} of {self.total} images in {self.origin} can be used"]
        if self.class_counts:
            smallest = min(self.class_counts.values())
            largest = max(self.class_counts.values())
            lines.append(f"{len(self.class_counts)} classes with {smallest} to {largest} images")
        for kind, count in self.counts.items():
            issues = [issue for issue in self.issues if issue.kind == kind]
            if kind == "ignored":
                reasons = Counter(issue.detail for issue in issues)
                explained = ", ".join(f"{reason} ({n})" for reason, n in reasons.most_common())
                lines.append(f"{count} other files ignored: {explained}")
                continue
            action = issues[0].action
            names = name_some([issue.name for issue in issues], most)
            lines.append(f"{count} {action}, {EXPLAINED.get(kind, kind)} [{kind}]: {names}")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """A JSON-able dict; `from_json` is its inverse."""
        return {
            "origin": self.origin,
            "total": self.total,
            "kept": self.kept.tolist(),
            "groups": self.groups.tolist(),
            "issues": [[i.index, i.name, i.kind, i.action, i.detail] for i in self.issues],
            "class_counts": dict(self.class_counts),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> AuditReport:
        """Rebuild a report.

        Raises:
            DataError: the content is no audit report.
        """
        try:
            return cls(
                content["origin"],
                content["total"],
                np.array(content["kept"], dtype=np.int64),
                np.array(content["groups"], dtype=np.int64),
                tuple(ImageIssue(*fields) for fields in content["issues"]),
                dict(content["class_counts"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"not an audit report: {error}") from error


def note_issue(index: int, name: str, note: str) -> ImageIssue:
    """The issue for a decoder's note on an image that is used."""
    return ImageIssue(index, name, note, "converted" if note in CONVERTED else "kept")


def ignored_issues(ignored: Sequence[Ignored]) -> list[ImageIssue]:
    """The issues for files that never came into the table."""
    return [ImageIssue(-1, file.name, "ignored", "ignored", file.reason) for file in ignored]


def group_duplicates(
    kept: np.ndarray, digests: Sequence[bytes | None], labels: Sequence[object], names: Sequence[str]
) -> tuple[np.ndarray, list[ImageIssue]]:
    """Find images with the same pixels.

    Args:
        kept: (k,) rows to compare.
        digests: (n,) hashes of pixels by row.
        labels: (n,) labels by row.
        names: (n,) names by row.

    Returns:
        (k,) int64 group numbers, in order of first appearance, and an issue per later copy.
    """
    first_row: dict[bytes | None, int] = {}
    number: dict[int, int] = {}
    groups = np.empty(len(kept), dtype=np.int64)
    issues = []
    for position, row in enumerate(kept.tolist()):
        first = first_row.setdefault(digests[row], row)
        groups[position] = number.setdefault(first, len(number))
        if first == row:
            continue
        conflict = labels[first] != labels[row]
        kind = "conflicting_label" if conflict else "duplicate"
        detail = f"same as {names[first]}"
        if conflict:
            detail += f" ({labels[first]!r}, here {labels[row]!r})"
        issues.append(ImageIssue(row, names[row], kind, "kept", detail))
    return groups, issues


def count_classes(labels: Sequence[object]) -> dict[str, int]:
    """Images a class, in the order of the class map; missing labels do not count."""
    classes = ClassMap.from_labels(labels)
    present = [label for label in labels if label is not None]
    counted = np.bincount(classes.encode(present), minlength=len(classes))
    return {name: int(count) for name, count in zip(classes.names, counted, strict=True)}
