"""Small data and a small network for policy searches, which train in a second."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

from autodl.augment.folds import Split
from autodl.augment.theta import ThetaOptions

QUICK = ThetaOptions(epochs=6, batch_size=32, device="cpu")


def tiny_net(num_classes: int) -> nn.Module:
    """Two convolutions for images of 16 px."""
    return nn.Sequential(
        nn.Conv2d(3, 12, 3, 2, 1),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.Conv2d(12, 24, 3, 2, 1),
        nn.BatchNorm2d(24),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(24 * 16, num_classes),
    )


def small_digits(number: int, seed: int = 0) -> tuple[Tensor, np.ndarray]:
    """(number, 3, 16, 16) uint8 and labels, in a random order."""
    bunch = load_digits()
    rows = np.random.default_rng(seed).permutation(len(bunch.target))[:number]
    pixels = torch.tensor(bunch.images[rows], dtype=torch.float32).mul(15.9)[:, None]
    pixels = F.interpolate(pixels, size=12, mode="bilinear").round().clamp(0, 255).to(torch.uint8)
    return F.pad(pixels, (2, 2, 2, 2)).expand(-1, 3, -1, -1).contiguous(), bunch.target[rows]


def planted_invert(seed: int) -> tuple[Tensor, np.ndarray, Split]:
    """500 digits for D_M, 200 for D_A, half of which are inverted."""
    images, labels = small_digits(700, seed)
    images[600:] = 255 - images[600:]
    return images, labels, Split(np.arange(500), np.arange(500, 700))


def planted_polarity(seed: int) -> tuple[Tensor, np.ndarray, Split]:
    """Zeros and ones, bright on dark and dark on bright, each a class of its own."""
    images, labels = small_digits(1797, seed)
    few = np.flatnonzero(labels < 2)[:340]
    images, labels = images[few], labels[few]
    turned = torch.from_numpy(np.random.default_rng(seed).random(len(few)) < 0.5)
    images = torch.where(turned.view(-1, 1, 1, 1), 255 - images, images)
    return images, labels + 2 * turned.numpy(), Split(np.arange(220), np.arange(220, len(few)))
