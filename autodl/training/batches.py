"""Batches straight from the pixel cache: one gather a batch, no per-sample Python."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from autodl.errors import OptionError

Batch = tuple[torch.Tensor, torch.Tensor]


class PixelBatches:
    """Batches of a uint8 image array.

    Each batch is gathered by one ``numpy.take`` (of a memory map: only the pages of its rows are
    read) and handed out as a channels_last view, so nothing is copied twice.

    Args:
        pixels: (n, h, w, c) uint8, an array or a memory map.
        labels: (n,) integers, aligned with ``pixels``; None gives labels of -1.
        rows: which images, (m,) integers; None means all.
        batch_size: images a batch.
        shuffle: a new order each time the batches are iterated. A last batch of one image is then
            left out, since batch normalisation cannot train on it.
        generator: source of the order; None means a fresh one seeded with 0.
        drop_last: leave out a last batch that is not full (never the only batch).

    Raises:
        OptionError: an argument has the wrong shape, type or range.

    Example:
        >>> pixels = np.zeros((5, 8, 8, 3), np.uint8)
        >>> [tuple(x.shape) for x, _ in PixelBatches(pixels, np.arange(5), None, 2)]
        [(2, 3, 8, 8), (2, 3, 8, 8), (1, 3, 8, 8)]
    """

    def __init__(  # the columns of a batch and how to walk them; keyword-only past four
        self,
        pixels: NDArray[np.uint8],
        labels: NDArray[np.integer[Any]] | None,
        rows: NDArray[np.integer[Any]] | None,
        batch_size: int,
        *,
        shuffle: bool = False,
        generator: torch.Generator | None = None,
        drop_last: bool = False,
    ) -> None:
        _check(pixels, labels, batch_size)
        self.pixels = pixels
        self.rows = np.arange(len(pixels)) if rows is None else np.asarray(rows, np.int64)
        if len(self.rows) and not (self.rows.min() >= 0 and self.rows.max() < len(pixels)):
            raise OptionError(f"rows must lie in [0, {len(pixels)}), got up to {self.rows.max()}")
        everywhere = np.full(len(pixels), -1) if labels is None else np.asarray(labels, np.int64)
        self.labels = np.asarray(everywhere, np.int64)
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.generator = generator if generator is not None else torch.Generator().manual_seed(0)

    @property
    def num_images(self) -> int:
        """How many images one pass covers, before anything is dropped."""
        return len(self.rows)

    @property
    def targets(self) -> NDArray[np.int64]:
        """(m,) labels in the order of ``rows``."""
        return self.labels[self.rows]

    def __len__(self) -> int:
        full, rest = divmod(len(self.rows), self.batch_size)
        if not rest or (full and self._drops(rest)):
            return full
        return full + 1

    def __iter__(self) -> Iterator[Batch]:
        order = self.rows
        if self.shuffle:
            order = order[torch.randperm(len(order), generator=self.generator).numpy()]
        for number in range(len(self)):
            yield self.gather(order[number * self.batch_size : (number + 1) * self.batch_size])

    def gather(self, rows: NDArray[np.int64]) -> Batch:
        """The images and labels of these rows: (b, c, h, w) uint8 and (b,) int64."""
        images = torch.from_numpy(np.take(self.pixels, rows, axis=0)).permute(0, 3, 1, 2)
        return images, torch.from_numpy(self.labels[rows])

    def _drops(self, rest: int) -> bool:
        return self.drop_last or (self.shuffle and rest == 1)


def _check(pixels: NDArray[np.uint8], labels: NDArray[np.integer[Any]] | None, batch_size: int) -> None:
    if pixels.ndim != 4 or pixels.dtype != np.uint8:
        raise OptionError(f"pixels must be (n, h, w, c) uint8, got {pixels.shape} {pixels.dtype}")
    if labels is not None and len(labels) != len(pixels):
        raise OptionError(f"{len(labels)} labels for {len(pixels)} images")
    if batch_size < 1:
        raise OptionError(f"batch_size must be >= 1, got {batch_size}")
