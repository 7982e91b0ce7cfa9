"""Images for a search: a part that trains weights, and a part that judges architectures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from autodl.checks import check_whole
from autodl.errors import DataError
from autodl.rng import torch_generator

Part = Literal["train", "val"]
Batch = tuple[Tensor, Tensor]


class NASData:
    """Two disjoint labelled sets, as tensors on one device, and minibatches of them.

    Args:
        train_x: (n, ...) images that weights are trained on, uint8 (read as 0..1) or float; arrays
            or tensors.
        train_y: (n,) labels, whole numbers from 0.
        val_x: (m, ...) images that architectures are judged on.
        val_y: (m,) labels.
        batch_size: images of a minibatch.
        device: where tensors live; uint8 images become float when they are used.

    Raises:
        DataError: a part is empty, shapes do not match, or labels are no whole numbers from 0.
    """

    def __init__(
        self,
        train_x: Any,
        train_y: Any,
        val_x: Any,
        val_y: Any,
        *,
        batch_size: int = 64,
        device: str | torch.device = "cpu",
    ) -> None:
        check_whole("batch_size", batch_size)
        self.batch_size = batch_size
        self.device = torch.device(device)
        self._x = {"train": _images(train_x, self.device), "val": _images(val_x, self.device)}
        self._y = {"train": _labels(train_y, self.device), "val": _labels(val_y, self.device)}
        for part, x in self._x.items():
            if not len(x) or len(x) != len(self._y[part]):
                raise DataError(f"the {part} part has {len(x)} images and {len(self._y[part])} labels")
        if self._x["train"].shape[1:] != self._x["val"].shape[1:]:
            shapes = [tuple(x.shape[1:]) for x in self._x.values()]
            raise DataError(f"images of the two parts differ in shape: {shapes[0]} and {shapes[1]}")
        self.num_classes = 1 + int(max(y.max() for y in self._y.values()))

    @classmethod
    def split(
        cls,
        x: Any,
        y: Any,
        *,
        val_fraction: float = 0.5,
        seed: int = 0,
        batch_size: int = 64,
        device: Any = "cpu",
    ) -> NASData:
        """Deal one labelled set at random.

        Args:
            x: (n, ...) images.
            y: (n,) labels.
            val_fraction: share that judges, in (0, 1).
            seed: of the dealing.
            batch_size: see `NASData`.
            device: see `NASData`.
        """
        if not 0 < val_fraction < 1:
            raise DataError(f"val_fraction must lie in (0, 1), got {val_fraction!r}")
        images, labels = _images(x, torch.device("cpu")), _labels(y, torch.device("cpu"))
        if len(images) != len(labels):
            raise DataError(f"there are {len(images)} images and {len(labels)} labels")
        order = torch.randperm(len(images), generator=torch_generator(seed, "split"))
        count = round(len(images) * val_fraction)
        val, train = order[:count], order[count:]
        return cls(
            images[train], labels[train], images[val], labels[val], batch_size=batch_size, device=device
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image."""
        return tuple(self._x["train"].shape[1:])

    def count(self, part: Part) -> int:
        """Images of a part."""
        return len(self._y[part])

    def num_batches(self, part: Part = "train") -> int:
        """Minibatches of a pass over a part."""
        return max(1, self.count(part) // self.batch_size)

    def epoch(self, part: Part, generator: torch.Generator) -> Iterator[Batch]:
        """One pass in a random order; an incomplete last minibatch is left out.

        Args:
            part: which set.
            generator: on the CPU.
        """
        order = torch.randperm(self.count(part), generator=generator).to(self.device)
        for start in range(0, self.num_batches(part) * self.batch_size, self.batch_size):
            yield self.take(part, order[start : start + self.batch_size])

    def stream(self, part: Part, generator: torch.Generator) -> Iterator[Batch]:
        """Passes without end."""
        while True:
            yield from self.epoch(part, generator)

    def in_order(self, part: Part, batch_size: int = 512) -> Iterator[Batch]:
        """Everything once, for evaluation."""
        for start in range(0, self.count(part), batch_size):
            yield self.take(part, slice(start, start + batch_size))

    def take(self, part: Part, which: Tensor | slice) -> Batch:
        """Some images as floats, and their labels.

        Args:
            part: which set.
            which: positions.
        """
        x = self._x[part][which]
        return (x.float() / 255 if x.dtype == torch.uint8 else x), self._y[part][which]


def _images(x: Any, device: torch.device) -> Tensor:
    tensor = torch.as_tensor(np.asarray(x) if not isinstance(x, Tensor) else x)
    if tensor.dtype != torch.uint8 and not tensor.is_floating_point():
        raise DataError(f"images are uint8 or floating, got {tensor.dtype}")
    return tensor.to(device=device, dtype=torch.float32 if tensor.dtype == torch.float64 else tensor.dtype)


def _labels(y: Any, device: torch.device) -> Tensor:
    tensor = torch.as_tensor(np.asarray(y) if not isinstance(y, Tensor) else y)
    if tensor.ndim != 1 or tensor.is_floating_point() or (len(tensor) and int(tensor.min()) < 0):
        raise DataError(f"labels are whole numbers from 0, (n,), got {tensor.dtype} {tuple(tensor.shape)}")
    return tensor.to(device=device, dtype=torch.int64)
