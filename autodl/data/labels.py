"""From the user's labels to class numbers and back, frozen once made."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from autodl.data.table import name_some
from autodl.errors import LabelError

LabelValue: TypeAlias = str | int | float | bool


def clean_label(label: object) -> LabelValue | None:
    """One label as a plain Python value; None where it is missing (None, NaN, NaT, "").

    Text is brought to Unicode's composed form (NFC): the same class name written by two operating
    systems is one class.

    Raises:
        LabelError: the label is no text, number or bool.
    """
    if label is None:
        return None
    if isinstance(label, str):
        return unicodedata.normalize("NFC", str(label)) or None
    if isinstance(label, bytes):
        return clean_label(label.decode("utf-8", "replace"))
    item = getattr(label, "item", None)
    if item is not None and getattr(label, "ndim", 0) == 0:  # numpy and torch scalars
        label = item()
    if isinstance(label, float) and math.isnan(label):
        return None
    if isinstance(label, (bool, int, float, str)):
        return label
    if type(label).__name__ in ("NAType", "NaTType"):  # pandas' marks of a missing value
        return None
    raise LabelError(f"a label must be text, a number or a bool, got {type(label).__name__}: {label!r:.80}")


def _is_number(value: LabelValue) -> bool:
    return isinstance(value, (int, float))


def _sort_key(value: LabelValue) -> tuple[bool, float, str]:
    if isinstance(value, str):
        return True, 0.0, value
    return False, float(value), ""


def _name(value: LabelValue) -> str:
    return f"{value:g}" if isinstance(value, float) and value.is_integer() else str(value)


@dataclass(frozen=True)
class ClassMap:
    """The classes, in order: numbers by size, then text by alphabet (as ``numpy.unique`` sorts).

    Args:
        values: the labels as the user gave them, as plain Python values; the position is the
            class number.

    Example:
        >>> classes = ClassMap.from_labels(["dog", "cat", "dog"])
        >>> classes.names, classes.encode(["cat", "dog"]).tolist()
        (('cat', 'dog'), [0, 1])
    """

    values: tuple[LabelValue, ...]

    def __post_init__(self) -> None:
        twice = [name for name, count in Counter(self.names).items() if count > 1]
        if twice:
            raise LabelError(
                f"{len(twice)} labels occur as different values of one name (1 and '1'): "
                f"{name_some(twice)}; give all labels one type"
            )

    @classmethod
    def from_labels(cls, labels: Iterable[object]) -> ClassMap:
        """The classes that occur; missing labels are passed over (see `check_labels`)."""
        values = {value for label in labels if (value := clean_label(label)) is not None}
        return cls(tuple(sorted(values, key=_sort_key)))

    def __len__(self) -> int:
        return len(self.values)

    @property
    def names(self) -> tuple[str, ...]:
        """The classes' names for display."""
        return tuple(_name(value) for value in self.values)

    @cached_property
    def _numbers(self) -> dict[LabelValue, int]:
        return {value: number for number, value in enumerate(self.values)}

    @cached_property
    def _numbers_by_name(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.names)}

    def encode(self, labels: Iterable[object], where: str = "the data") -> np.ndarray:
        """Class numbers.

        A label matches by value, or else by name, so that a model fitted on the numbers of a
        table can be evaluated on folders called "0", "1", ...

        Args:
            labels: (n,) labels.
            where: what the labels belong to, for the message.

        Returns:
            (n,) int64.

        Raises:
            LabelError: some labels are missing or unknown; the message names them and how many.
        """
        numbers = [self._encode_one(clean_label(label)) for label in labels]
        encoded = np.array([-1 if number is None else number for number in numbers], dtype=np.int64)
        if (encoded < 0).any():
            self._complain(list(labels), encoded, where)
        return encoded

    def _encode_one(self, value: LabelValue | None) -> int | None:
        if value is None:
            return None
        number = self._numbers.get(value)
        return self._numbers_by_name.get(_name(value)) if number is None else number

    def _complain(self, labels: Sequence[object], encoded: np.ndarray, where: str) -> None:
        unknown = [clean_label(label) for label, number in zip(labels, encoded, strict=True) if number < 0]
        unseen = Counter(value for value in unknown if value is not None)
        parts = []
        if unseen:
            names = name_some([repr(value) for value in unseen])
            parts.append(
                f"{sum(unseen.values())} of {len(encoded)} images have {len(unseen)} classes that are not "
                f"among the {len(self)} known ones: {names}"
            )
        if missing := sum(value is None for value in unknown):
            parts.append(f"{missing} of {len(encoded)} images have no label")
        known = name_some([repr(value) for value in self.values], 10)
        raise LabelError(f"in {where}, {' and '.join(parts)}; known classes: {known}. Drop these images")

    def decode(self, numbers: Iterable[int] | np.ndarray) -> list[LabelValue]:
        """The labels of class numbers, as the user gave them."""
        return [self.values[int(number)] for number in numbers]

    def to_json(self) -> list[LabelValue]:
        """The values; JSON keeps their types."""
        return list(self.values)

    @classmethod
    def from_json(cls, values: Sequence[LabelValue]) -> ClassMap:
        """The inverse of `to_json`.

        Raises:
            LabelError: a value is missing, of no label type, or there twice.
        """
        cleaned = [clean_label(value) for value in values]
        kept = tuple(value for value in cleaned if value is not None)
        if len(kept) != len(values):
            raise LabelError("a class map must not have missing values", list(values))
        return cls(kept)


def check_labels(labels: Sequence[object], *, where: str = "the data", min_per_class: int = 2) -> ClassMap:
    """The class map of labels that can be trained on.

    Args:
        labels: (n,) labels.
        where: what the labels belong to, for the message.
        min_per_class: how many images each class must have; two, so that training and validation
            each get one.

    Raises:
        LabelError: labels are missing, there are fewer than two classes, or a class has too few
            images.
    """
    cleaned = [clean_label(label) for label in labels]
    missing = [row for row, value in enumerate(cleaned) if value is None]
    if missing:
        raise LabelError(
            f"{len(missing)} of {len(cleaned)} images in {where} have no label "
            f"(rows {name_some([str(row) for row in missing])}); drop them or label them"
        )
    counts = Counter(value for value in cleaned if value is not None)
    if len(counts) < 2:
        found = f"only one, {next(iter(counts))!r}" if counts else "none"
        raise LabelError(f"classification needs at least 2 classes, but {where} has {found}")
    few = sorted((value for value, count in counts.items() if count < min_per_class), key=_sort_key)
    if few:
        named = name_some([f"{value!r} ({counts[value]})" for value in few])
        raise LabelError(
            f"each class needs at least {min_per_class} images, but {len(few)} of {len(counts)} classes in "
            f"{where} have fewer: {named}; add images, merge these classes or leave them out"
        )
    return ClassMap.from_labels(counts)
