"""The data of one run as its trials see it: pixels decoded once, labels, and who is held out when.

Everything lies in the run's own directory, so that a resumed run does not read the user's files
again and all workers share one memory-mapped copy.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from autodl.data import (
    AuditReport,
    ClassMap,
    ImageTable,
    PixelCache,
    build_cache,
    check_labels,
    stratified_folds,
    stratified_split,
)
from autodl.errors import EmptyDataError, JournalError, StorageError
from autodl.models.weights_io import write_atomically
from autodl.tasks.options import ValidationOptions

NEVER = -1
"""Fold of an image that is always trained on."""


@dataclass(frozen=True)
class RunData:
    """What trials train on and are compared on.

    Attributes:
        pixels: (n, s, s, 3) uint8, memory-mapped.
        labels: (n,) int64, class numbers.
        folds: (n,) int64; a model of fold f trains on all rows but those of fold f. Fold 0 is what
            every trial is validated on; `NEVER` marks rows that no model holds out.
        class_map: class numbers to the user's labels.
        names: (n,) the images' names.
        audit: what was found in the files.
        facts: JSON-able; how the pixels were made (`input_size`, ...).
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    folds: NDArray[np.int64]
    class_map: ClassMap
    names: tuple[str, ...]
    audit: AuditReport
    facts: Mapping[str, Any]

    @property
    def num_folds(self) -> int:
        """Number of folds that hold rows out, at least 1."""
        return int(self.folds.max()) + 1

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_map.names)

    def training_rows(self, fold: int = 0) -> NDArray[np.int64]:
        """Rows a model of that fold may see."""
        return np.flatnonzero(self.folds != fold)

    def validation_rows(self, fold: int = 0) -> NDArray[np.int64]:
        """Rows that a model of that fold is judged on."""
        return np.flatnonzero(self.folds == fold)

    @classmethod
    def open(cls, directory: Path) -> RunData:
        """Map what `prepare` wrote.

        Raises:
            JournalError: nothing complete is there.
        """
        try:
            document = json.loads((directory / "data.json").read_text())
            with (directory / "rows.npz").open("rb") as file:  # numpy leaves a damaged file open
                rows = np.load(file, allow_pickle=False)
                labels, folds = rows["labels"], rows["folds"]
            data = cls(
                pixels=PixelCache.open(directory).pixels,
                labels=labels,
                folds=folds,
                class_map=ClassMap.from_json(document["classes"]),
                names=tuple(document["names"]),
                audit=AuditReport.from_json(document["audit"]),
                facts=document["facts"],
            )
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise JournalError(f"{directory} holds no complete data of a run: {error}") from error
        if len({len(data.pixels), len(labels), len(folds), len(data.names)}) > 1:
            raise JournalError(f"{directory} is damaged: pixels, labels and names are not as many")
        return data

    @staticmethod
    def exists(directory: Path) -> bool:
        """Whether `prepare` came to its end there (``data.json`` is written last)."""
        return (directory / "data.json").exists()


@dataclass(frozen=True, slots=True)
class Intake:
    """How the pixels of a run are made.

    Attributes:
        cache_size: side of the cached square, pixels.
        on_bad_image: "skip" or "raise".
        num_threads: decoding threads.
        deadline: ``time.monotonic()`` after which no further image is read; None: never.
        cross_validate: hold every row out once (cheap trials) instead of one part only.
    """

    cache_size: int
    on_bad_image: Literal["skip", "raise"]
    num_threads: int
    deadline: float | None
    cross_validate: bool


def prepare(
    directory: Path,
    train: ImageTable,
    tuning: ImageTable | None,
    intake: Intake,
    validation: ValidationOptions,
    seed: int,
    facts: Mapping[str, Any],
) -> RunData:
    """Decode, audit and split the images of a run; see `RunData`.

    Args:
        directory: where the run's cache goes; created.
        train: labelled images.
        tuning: labelled images to compare trials on; None: a part of `train`.
        intake: how pixels are made.
        validation: how much of `train` is held out.
        seed: of the split.
        facts: kept with the data.
    """
    directory.mkdir(parents=True, exist_ok=True)
    items = train.items + (tuning.items if tuning is not None else ())
    table = replace(train, items=items)
    cache, audit = build_cache(
        table,
        directory,
        size=intake.cache_size,
        num_threads=intake.num_threads,
        on_bad_image=intake.on_bad_image,
        deadline=intake.deadline,
    )
    kept = audit.kept
    is_tuning = kept >= len(train.items)
    if tuning is not None and not is_tuning.any() and "not_read" not in audit.counts:
        raise EmptyDataError(
            f"none of the {len(tuning)} images of tuning_data ({tuning.origin}) can be read to validate on"
        )
    own = [items[i].label for i in kept[~is_tuning]]
    class_map = _classes(own, train.origin, audit)
    labels = np.concatenate(
        [
            class_map.encode(own, where=train.origin),
            class_map.encode([items[i].label for i in kept[is_tuning]], where="tuning_data"),
        ]
    )
    folds = _folds(labels, is_tuning, audit.groups, intake, validation, seed)
    if not (folds == 0).any():
        raise EmptyDataError("no image is left to validate on; pass more tuning_data or none")
    names = tuple(items[i].name for i in kept)
    data = RunData(cache.pixels, labels, folds, class_map, names, audit, facts)
    try:
        _write(data, directory)
    except OSError as error:
        raise StorageError(f"cannot write the data of the run to {directory}: {error}") from error
    return data


def write_part(data: RunData, rows: NDArray[np.int64], directory: Path) -> RunData:
    """A run's data with some of its images only, in a directory of its own.

    Args:
        data: the whole.
        rows: (m,) those to keep; the others' audit is kept, too.
        directory: created.
    """
    directory.mkdir(parents=True, exist_ok=True)
    part = replace(
        data,
        pixels=np.take(data.pixels, rows, axis=0),
        labels=data.labels[rows],
        folds=data.folds[rows],
        names=tuple(data.names[row] for row in rows),
    )
    try:
        PixelCache.write(directory, part.pixels)
        _write(part, directory)
    except OSError as error:
        raise StorageError(f"cannot write a part of the run's data to {directory}: {error}") from error
    return part


def _classes(labels: list[object], origin: str, audit: AuditReport) -> ClassMap:
    """The classes of the images that can be read.

    Raises:
        LabelError: too few classes are left, or (unless time was too short to read all images) a
            class has too few images left.
    """
    cut_short = "not_read" in audit.counts
    left = "the images that were read in time" if cut_short else "the readable images"
    return check_labels(labels, where=f"{left} of {origin}", min_per_class=1 if cut_short else 2)


def _write(data: RunData, directory: Path) -> None:
    np.savez(directory / "rows.npz", labels=data.labels, folds=data.folds)
    document = {
        "classes": data.class_map.to_json(),
        "names": data.names,
        "audit": data.audit.to_json(),
        "facts": dict(data.facts),
    }
    # Escaped (ensure_ascii): file names need not be valid Unicode.
    write_atomically(directory / "data.json", json.dumps(document).encode())


def _folds(
    labels: NDArray[np.int64],
    is_tuning: NDArray[np.bool_],
    groups: NDArray[np.int64],
    intake: Intake,
    validation: ValidationOptions,
    seed: int,
) -> NDArray[np.int64]:
    """Which fold holds each row out; exact duplicates (one group) stay on one side."""
    if is_tuning.any():
        return np.where(is_tuning, 0, NEVER).astype(np.int64)
    smallest = int(np.bincount(labels).min())
    count = min(validation.folds, smallest)
    if intake.cross_validate and count > 1 and validation.fraction is None:
        return stratified_folds(labels, count, seed, groups=groups)
    _, held_out = stratified_split(labels, validation.fraction_for(len(labels)), seed, groups=groups)
    folds = np.full(len(labels), NEVER, dtype=np.int64)
    folds[held_out] = 0
    return folds
