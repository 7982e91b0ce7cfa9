"""The one pass over all images: decode each once, on several threads, and report on it."""

from __future__ import annotations

import hashlib
import os
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from autodl.data.audit import (
    EXPLAINED,
    AuditReport,
    ImageIssue,
    count_classes,
    group_duplicates,
    ignored_issues,
    note_issue,
)
from autodl.data.decoding import decode, image_size
from autodl.data.opening import UnreadableImageError, ignoring_pillow_warnings
from autodl.data.table import ImageItem, ImageTable, name_some
from autodl.errors import BadImageError, EmptyDataError

OnBadImage: TypeAlias = Literal["skip", "raise"]

_CHUNK = 16  # images a task: few enough to share evenly, enough to hide the pool's own cost


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of one image: a hash of its pixels, or the issue that ended it."""

    digest: bytes | None = None
    notes: tuple[str, ...] = ()
    error: UnreadableImageError | None = None


def read_all(  # the options of `build_cache`, which it serves
    table: ImageTable,
    *,
    size: int,
    out: np.ndarray | None = None,
    num_threads: int | None = None,
    on_bad_image: OnBadImage = "skip",
    deadline: float | None = None,
) -> AuditReport:
    """Decode every image of a table and report; the pass behind `build_cache` and audits.

    Args:
        table: the images.
        size: side of the squares, pixels.
        out: (n, size, size, 3) uint8, where the pixels go, row by row of the table; None: nowhere.
        num_threads: decoding threads; None: one a core.
        on_bad_image: "skip" or "raise".
        deadline: `time.monotonic()` seconds.

    Raises:
        EmptyDataError: no image can be used.
        BadImageError: an image is bad and `on_bad_image` is "raise".
    """
    order = np.arange(len(table))
    if deadline is not None:
        order = np.random.default_rng(0).permutation(len(table))
    outcomes: list[_Outcome | None] = [None] * len(table)

    def work(rows: np.ndarray) -> None:
        for row in rows.tolist():
            if deadline is not None and time.monotonic() > deadline:
                return
            outcomes[row] = _read_one(table.items[row], size, None if out is None else out[row])

    chunks = [order[start : start + _CHUNK] for start in range(0, len(order), _CHUNK)]
    pool = ThreadPoolExecutor(num_threads or os.cpu_count() or 1, thread_name_prefix="autodl-decode")
    try:
        with ignoring_pillow_warnings():
            for chunk, task in zip(chunks, [pool.submit(work, chunk) for chunk in chunks], strict=True):
                _await_chunk(task, table, chunk, outcomes, on_bad_image)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return _report(table, outcomes)


def _await_chunk(
    task: Future[None],
    table: ImageTable,
    rows: np.ndarray,
    outcomes: list[_Outcome | None],
    on_bad_image: OnBadImage,
) -> None:
    task.result()
    if on_bad_image == "skip":
        return
    for row in rows.tolist():
        outcome = outcomes[row]
        if outcome is not None and outcome.error is not None:
            item = table.items[row]
            raise BadImageError(
                f"{name_some([item.name])} in {table.origin} cannot be used: {outcome.error}; "
                'mend or remove it, or pass on_bad_image="skip"'
            ) from outcome.error


def _read_one(item: ImageItem, size: int, out: np.ndarray | None) -> _Outcome:
    try:
        decoded = decode(item.source, name=item.name, square=size)
    except UnreadableImageError as error:
        return _Outcome(error=error)
    pixels = np.ascontiguousarray(decoded.pixels)
    if out is not None:
        out[...] = pixels
    return _Outcome(hashlib.sha1(pixels.data, usedforsecurity=False).digest(), decoded.notes)


def _report(table: ImageTable, outcomes: list[_Outcome | None]) -> AuditReport:
    issues = []
    for row, (item, outcome) in enumerate(zip(table.items, outcomes, strict=True)):
        if outcome is None:
            issues.append(ImageIssue(row, item.name, "not_read", "skipped"))
        elif outcome.error is not None:
            error = outcome.error
            issues.append(ImageIssue(row, item.name, error.kind, "skipped", error.detail))
        else:
            issues += [note_issue(row, item.name, note) for note in outcome.notes]
    digests = [None if outcome is None else outcome.digest for outcome in outcomes]
    kept = np.array([row for row, digest in enumerate(digests) if digest is not None], dtype=np.int64)
    if not len(kept):
        _complain_empty(table, issues)
    labels = table.labels
    groups, copies = group_duplicates(kept, digests, labels, table.names)
    issues = sorted(issues + copies, key=lambda issue: issue.index)
    return AuditReport(
        origin=table.origin,
        total=len(table),
        kept=kept,
        groups=groups,
        issues=(*issues, *ignored_issues(table.ignored)),
        class_counts=count_classes([labels[row] for row in kept]),
    )


def _complain_empty(table: ImageTable, issues: list[ImageIssue]) -> None:
    if not issues:
        raise EmptyDataError(f"there is no image in {table.origin}")
    first = issues[0]
    why = f"{first.kind}: {first.detail or EXPLAINED.get(first.kind, first.kind)}"
    raise EmptyDataError(
        f"none of the {len(table)} images in {table.origin} can be used; the first, "
        f"{name_some([first.name])}, is {why}"
    )


def probe_sizes(table: ImageTable, limit: int = 500) -> np.ndarray:
    """Sizes of a sample of the images, evenly spread, from the headers alone.

    Args:
        table: the images.
        limit: at most how many to look at.

    Returns:
        (n, 2) int64: height and width, upright, pixels; unreadable images are left out.
    """
    rows = np.unique(np.linspace(0, max(len(table) - 1, 0), min(limit, len(table))).astype(int))
    sizes = []
    for row in rows.tolist():
        with suppress(UnreadableImageError):
            sizes.append(image_size(table.items[row].source))
    return np.array(sizes, dtype=np.int64).reshape(-1, 2)
