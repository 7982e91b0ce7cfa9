"""Minibatches and parts."""

import numpy as np
import pytest
import torch

from autodl.errors import DataError
from autodl.nas import NASData

X = np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1)
Y = np.arange(10) % 3


def test_an_epoch_has_every_image_once_in_an_order_of_the_generator():
    data = NASData(X, Y, X[:4], Y[:4], batch_size=5)
    epochs = [
        torch.cat([y for _, y in data.epoch("train", torch.Generator().manual_seed(s))]) for s in (0, 0, 1)
    ]
    assert torch.equal(epochs[0], epochs[1]) and not torch.equal(epochs[0], epochs[2])
    assert sorted(epochs[0].tolist()) == sorted(Y.tolist())
    assert data.num_batches() == 2 and data.num_classes == 3 and data.shape == (1, 1, 1)


def test_uint8_becomes_a_share_of_255():
    data = NASData(X, Y, X, Y)
    x, y = next(data.in_order("val"))
    assert torch.allclose(x.flatten() * 255, torch.arange(10.0)) and y.tolist() == Y.tolist()
    assert len(next(data.stream("train", torch.Generator().manual_seed(0)))[0]) == 10  # fewer than a batch


def test_split_parts_are_disjoint_and_seeded():
    data = NASData.split(X, Y, val_fraction=0.3, seed=1)
    again = NASData.split(X, Y, val_fraction=0.3, seed=1)
    parts = {
        part: (next(data.in_order(part))[0] * 255).round().flatten().tolist() for part in ("train", "val")
    }
    assert sorted(parts["train"] + parts["val"]) == list(range(10)) and len(parts["val"]) == 3
    assert torch.equal(next(again.in_order("val"))[0], next(data.in_order("val"))[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X, Y[:3], X, Y), "the train part has 10 images and 3 labels"),
        ((X, Y, X[:0], Y[:0]), "the val part has 0 images"),
        ((X, Y, np.zeros((2, 3, 1, 1), np.uint8), Y[:2]), "differ in shape"),
        ((X, Y - 1, X, Y), "whole numbers from 0"),
        ((X, Y * 1.0, X, Y), "whole numbers from 0"),
        ((X.astype(int), Y, X, Y), "uint8 or floating"),
    ],
)
def test_unusable_data_is_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        NASData(*arguments)


def test_unusable_splits():
    with pytest.raises(DataError, match="val_fraction"):
        NASData.split(X, Y, val_fraction=1.0)
    with pytest.raises(DataError, match="10 images and 9 labels"):
        NASData.split(X, Y[:9])
