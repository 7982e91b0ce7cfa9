"""`Dataset`: image data to look at, check and divide before anything is fitted."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autodl.data.audit import AuditReport
from autodl.data.decoding import decode
from autodl.data.labels import ClassMap
from autodl.data.readers import read_images
from autodl.data.scan import read_all
from autodl.data.split import stratified_split
from autodl.data.table import ImageTable, shorten
from autodl.errors import BadImageError, LabelError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Dataset", "encoded_groups"]
_AUDIT_SIZE = 64  # pixels; only for finding copies, nothing of it is kept


class Dataset:
    """Images with labels, from any source that `read_images` knows.

    Args:
        data: see `read_images`.
        label: the label column of a table; None: guessed.
        image: the image column of a table; None: guessed.

    Example:
        >>> import numpy as np
        >>> data = Dataset((np.zeros((4, 8, 8), np.uint8), ["a", "a", "b", "b"]))
        >>> len(data), data.classes
        (4, ('a', 'b'))
    """

    def __init__(self, data: Any, *, label: str | None = None, image: str | None = None) -> None:
        self.table: ImageTable = read_images(data, label=label, image=image)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes' names, in the order of the class numbers; empty without labels."""
        return ClassMap.from_labels(self.table.labels).names

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        classes = self.classes
        shown = ", ".join(classes[:5]) + (", ..." if len(classes) > 5 else "")
        labels = f"{len(classes)} classes ({shown})" if classes else "no labels"
        splits = f", splits {', '.join(self.table.splits)}" if self.table.splits else ""
        return f"Dataset({len(self)} images, {labels}{splits}, from {shorten(self.table.origin)})"

    def split(self, fraction: float = 0.2, seed: int = 0) -> tuple[Dataset, Dataset]:
        """Divide at random, each class in the same proportion, copies of a file kept together.

        Args:
            fraction: the second part's share, in (0, 1).
            seed: the same seed gives the same split.

        Raises:
            LabelError: some images have no label.
            OptionError: the fraction is not between 0 and 1.
        """
        labels = self.table.labels
        if not self.table.is_labelled:
            raise LabelError(f"the images in {self.table.origin} have no labels to divide by")
        y = ClassMap.from_labels(labels).encode(labels, self.table.origin)
        first, second = stratified_split(y, fraction, seed, encoded_groups(self.table))
        return Dataset(self.table.select(first)), Dataset(self.table.select(second))

    def audit(self, num_threads: int | None = None) -> AuditReport:
        """Read every image once and report what is odd; nothing is written.

        Args:
            num_threads: decoding threads; None: one a core.

        Raises:
            EmptyDataError: no image can be used.
        """
        return read_all(self.table, size=_AUDIT_SIZE, num_threads=num_threads)

    def show(self, count: int = 16, seed: int = 0) -> Figure:
        """Some images with their labels, taken from all classes in turn.

        Args:
            count: how many at most.
            seed: which.
        """
        from matplotlib.figure import Figure  # noqa: PLC0415  # slow to import, seldom needed

        rows = _rows_in_turn(self.table, count, seed)
        across = min(4, len(rows))
        down = -(-len(rows) // across)
        figure = Figure(figsize=(2.2 * across, 2.4 * down), layout="constrained")
        axes = figure.subplots(down, across, squeeze=False)
        for axis in axes.flat:
            axis.set_axis_off()
        for axis, row in zip(axes.flat, rows, strict=False):
            item = self.table.items[row]
            title = item.name if item.label is None else str(item.label)
            try:
                axis.imshow(decode(item.source, square=160).pixels)
            except BadImageError as error:
                axis.text(0.5, 0.5, shorten(str(error), 40), ha="center", va="center", wrap=True, fontsize=7)
            axis.set_title(shorten(title, 24), fontsize=9, parse_math=False)
        return figure


def _rows_in_turn(table: ImageTable, count: int, seed: int) -> list[int]:
    rng = np.random.default_rng(seed)
    by_label: dict[str, list[int]] = defaultdict(list)
    for row in rng.permutation(len(table)).tolist():
        by_label[str(table.items[row].label)].append(row)
    queues = [by_label[label] for label in sorted(by_label)]
    longest = max(len(queue) for queue in queues)
    turns = [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]
    return turns[:count]


def encoded_groups(table: ImageTable) -> np.ndarray:
    """A group number for each image; byte-for-byte copies share one.

    Only files of the same length are read. Images of lazy sources count as different.

    Returns:
        (n,) int64.
    """
    by_length: dict[int, list[int]] = defaultdict(list)
    for row, item in enumerate(table.items):
        length = _length(item.source)
        if length:
            by_length[length].append(row)
    groups = np.arange(len(table), dtype=np.int64)
    for rows in by_length.values():
        if len(rows) < 2:
            continue
        first: dict[bytes, int] = {}
        for row in rows:
            groups[row] = first.setdefault(_digest(table.items[row].source, row), row)
    return groups


def _length(source: object) -> int:
    if isinstance(source, bytes):
        return len(source)
    if isinstance(source, Path):
        try:
            return source.stat().st_size if source.is_file() else 0
        except OSError:
            return 0
    return 0


def _digest(source: object, row: int) -> bytes:
    stream = BytesIO(source) if isinstance(source, bytes) else None
    try:
        if isinstance(source, Path):
            with source.open("rb") as file:
                return hashlib.file_digest(file, "blake2b").digest()
    except OSError:
        stream = None
    return hashlib.file_digest(stream, "blake2b").digest() if stream is not None else str(row).encode()
