"""Shifts and harms planted in digits at 32 px, with the network that is used where none is given."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor

from autodl.augment import Split, bank_search
from autodl.augment.bank_search import MOST_FORWARDS
from autodl.augment.ops import OP_INDEX, apply_ops

SPLIT = Split(np.arange(800), np.arange(800, 1100))
CHANCE = 1 / 14  # Color is not searched on grey images


def apply(op: str, images: Tensor, magnitude: float) -> Tensor:
    number = len(images)
    return apply_ops(images, torch.full((number,), OP_INDEX[op]), torch.full((number,), magnitude))


def digits(seed: int) -> tuple[Tensor, np.ndarray, Tensor]:
    """Images, labels, and a coin for each image."""
    bunch = load_digits()
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(bunch.target), generator=generator)[:1100].numpy()
    pixels = torch.tensor(bunch.images[rows], dtype=torch.float32).mul(15.9)[:, None]
    pixels = F.interpolate(pixels, size=24, mode="bilinear").round().clamp(0, 255).to(torch.uint8)
    images = F.pad(pixels, (4, 4, 4, 4)).expand(-1, 3, -1, -1).contiguous()
    return images, bunch.target[rows], torch.rand(1100, generator=generator) < 0.5


def inverted(images: Tensor) -> Tensor:
    return torch.cat([images[:150], 255 - images[150:]])


def rotated(images: Tensor) -> Tensor:
    return torch.cat([apply("Rotate", images[:150], 25.0), apply("Rotate", images[150:], -25.0)])


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("shift", "op"), [(inverted, "Invert"), (rotated, "Rotate")])
def test_the_op_that_undoes_a_shift_ranks_first(
    shift: Callable[[Tensor], Tensor], op: str, seed: int
) -> None:
    images, labels, _ = digits(seed)
    images = torch.cat([images[:800], shift(images[800:])])
    result = bank_search(images, labels, folds=[SPLIT], seed=seed)
    assert next(iter(result.op_weights)) == op
    assert result.op_weights[op] >= 0.7
    assert result.forwards <= MOST_FORWARDS * 300


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("op", ["Invert", "TranslateX"])
def test_an_op_that_changes_the_label_stays_out(op: str, seed: int) -> None:
    images, labels, coin = digits(seed)
    side = coin.view(-1, 1, 1, 1)
    if op == "Invert":
        images, labels = torch.where(side, 255 - images, images), labels + 10 * coin.numpy()
    else:
        left, right = apply(op, images, -6.0), apply(op, images, 6.0)
        images, labels = torch.where(side, right, left), coin.numpy().astype(np.int64)
    result = bank_search(images, labels, folds=[SPLIT], seed=seed)
    assert result.op_weights.get(op, 0.0) <= CHANCE / 2
