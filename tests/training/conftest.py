"""Tiny images that are easy to tell apart, and a tiny network that can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from autodl.training.batches import PixelBatches
from autodl.training.device import PrecisionPlan
from autodl.training.loop import train_network
from autodl.training.options import TrainOptions, TrainResult
from autodl.training.preprocess import Preprocess

FP32 = PrecisionPlan()


@dataclass
class Toy:
    """Three classes of noisy 8 px images, each brighter in another corner."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def batches(self, size: int = 16, n: int = 96) -> tuple[PixelBatches, PixelBatches]:
        rows = np.arange(n)
        train = PixelBatches(self.pixels, self.labels, rows, size, shuffle=True)
        return train, PixelBatches(self.pixels, self.labels, np.arange(n, len(self.pixels)), 32)

    def train(self, net: nn.Module, *, lr: float = 0.02, size: int = 16, **changes: object) -> TrainResult:
        options = changes.pop("options", TrainOptions())
        train, val = self.batches(size)
        return train_network(
            net,
            train_batches=train,
            val_batches=val,
            preprocess=Preprocess(),
            optimizer_factory=changes.pop("optimizer_factory", lambda p: torch.optim.AdamW(p, lr=lr)),
            options=replace(options, precision=FP32),
            device="cpu",
            **changes,
        )


@pytest.fixture(scope="session")
def toy() -> Toy:
    rng = np.random.default_rng(0)
    labels = np.arange(144) % 3
    pixels = rng.integers(60, 140, (144, 8, 8, 3))
    for row, label in enumerate(labels):
        y, x = ((0, 0), (0, 4), (4, 0))[label]
        pixels[row, y : y + 4, x : x + 4] += 80
    return Toy(pixels.astype(np.uint8), labels)


@pytest.fixture
def make_net() -> Callable[..., nn.Module]:
    def make(seed: int = 0, dropout: float = 0.0) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return nn.Sequential(
                nn.Conv2d(3, 8, 3, padding=1, bias=False),
                nn.BatchNorm2d(8),
                nn.ReLU(),
                nn.AvgPool2d(4),
                nn.Flatten(),
                nn.Dropout(dropout),
                nn.Linear(32, 3),
            )

    return make
