from __future__ import annotations

import numpy as np
import pytest
import torch

from autodl.augment.search_data import as_search_data, is_grey
from autodl.errors import DataError, LabelError


def images(number: int = 12, channels: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (number, channels, 6, 5), dtype=torch.uint8, generator=generator)


def test_labels_of_any_kind_become_numbers() -> None:
    data = as_search_data(images().numpy(), ["cat", "dog", "owl"] * 4)
    assert data.labels.tolist() == [0, 1, 2] * 4
    assert data.num_classes == 3
    assert data.side == 5
    assert as_search_data(images(), torch.tensor([7, -2] * 6)).labels.tolist() == [1, 0] * 6


def test_images_without_colour_are_told() -> None:
    one = images(channels=1)
    assert is_grey(one)
    assert is_grey(one.expand(-1, 3, -1, -1))
    assert not is_grey(images())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (torch.rand(12, 3, 6, 5), "multiply by 255"),
        (np.zeros((12, 3, 6, 5), np.int64), "uint8"),
        (np.zeros((12, 6, 5, 3), np.uint8), "permute"),
        (torch.zeros(12, 6, 5, dtype=torch.uint8), r"\(n, c, h, w\)"),
        (torch.zeros(12, 4, 6, 5, dtype=torch.uint8), r"c = 1 or 3"),
        ([1, 2], "list"),
        (torch.zeros(0, 3, 6, 5, dtype=torch.uint8), "no images"),
    ],
)
def test_other_images_are_refused(given: object, words: str) -> None:
    with pytest.raises(DataError, match=words):
        as_search_data(given, [0, 1] * 6)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([0, 1] * 5, r"shape \(12,\)"),
        ([0] * 12, "two classes"),
        ([0.5, 1.5] * 6, "whole numbers"),
        ([0] * 9 + [1] * 3, r"1 of 2: 1 \(3\)"),
        ([object() for _ in range(12)], "compared"),
    ],
)
def test_other_labels_are_refused(labels: list[object], words: str) -> None:
    with pytest.raises(LabelError, match=words):
        as_search_data(images(), labels)
