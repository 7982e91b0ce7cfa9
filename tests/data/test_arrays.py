"""Arrays and lists of images."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from autodl.data import decode, read_images
from autodl.data.scan import read_all
from autodl.errors import DataError, LabelError
from tests.data import made

COLOUR = np.stack([made.picture(8, 10, seed) for seed in range(5)])
Y = ["a", "b", "a", "b", "a"]


def pixels(table):
    return np.stack([decode(item.source).pixels for item in table.items])


@pytest.mark.parametrize(
    "images",
    [
        COLOUR,
        COLOUR.transpose(0, 3, 1, 2),
        COLOUR / 255,
        COLOUR.astype(np.int64),
        COLOUR.astype(np.float32) / 127.5 - 1,
        list(COLOUR),
        [Image.fromarray(image) for image in COLOUR],
        [made.encode(image) for image in COLOUR],
    ],
)
def test_every_layout_and_type_gives_the_same_pixels(images):
    table = read_images((images, Y))
    assert np.abs(pixels(table).astype(int) - COLOUR).max() <= 1
    assert table.labels == Y


def test_torch_tensors():
    import torch

    table = read_images((torch.tensor(COLOUR).permute(0, 3, 1, 2), torch.tensor([0, 1, 0, 1, 0])))
    np.testing.assert_array_equal(pixels(table), COLOUR)
    assert table.labels == [0, 1, 0, 1, 0]


def test_grey_images_with_and_without_a_channel():
    grey = COLOUR[:, :, :, 0]
    for images in (grey, grey[:, :, :, None], grey[:, None]):
        found = pixels(read_images((images, Y)))
        np.testing.assert_array_equal(found, np.repeat(grey[:, :, :, None], 3, axis=3))


def test_flat_digits_of_scikit_learn():
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    table = read_images((X[:100], y[:100]))
    assert table.pixel_range == (0.0, 16.0)
    expected = np.rint(X[:100].reshape(-1, 8, 8) * 255 / 16)
    np.testing.assert_array_equal(pixels(table)[..., 0], expected)
    assert read_all(table, size=8).class_counts["0"] == int((y[:100] == 0).sum())


def test_test_data_is_scaled_as_the_training_data_was():
    train = read_images(np.linspace(0, 1, 250).reshape(10, 25))
    dark = np.full((2, 25), 0.25)
    assert pixels(read_images(dark, pixel_range=train.pixel_range)).max() == 64
    bright = np.full((2, 25), 1.7)  # beyond what was seen: clipped, not scaled anew
    assert pixels(read_images(bright, pixel_range=train.pixel_range)).min() == 255


def test_an_image_with_nan_is_skipped_and_named():
    images = COLOUR / 255
    images[3, 0, 0, 0] = np.nan
    report = read_all(read_images((images, Y)), size=8)
    assert report.names("unreadable") == ["row 3"]


@pytest.mark.parametrize(
    "labels", [np.array(Y), pd.Series(Y, index=range(9, 4, -1)), tuple(Y), np.array(Y)[:, None]]
)
def test_labels_of_any_sequence(labels):
    assert read_images((COLOUR, labels)).labels == Y


def test_too_few_labels():
    with pytest.raises(LabelError, match="5 images but 4 labels"):
        read_images((COLOUR, Y[:4]))


def test_one_hot_labels_are_refused_with_the_way_out():
    with pytest.raises(LabelError, match="argmax"):
        read_images((COLOUR, np.eye(5)))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((5, 63)), "63 values are no squares"),
        (np.zeros((5, 8, 8, 2)), "no channel axis"),
        (np.zeros(5), "must have shape"),
        (np.zeros((1, 2, 3, 4, 5)), "must have shape"),
    ],
)
def test_shapes_that_are_no_images(images, message):
    with pytest.raises(DataError, match=message):
        read_images((images, Y[: len(images)]))


def test_a_list_of_pairs():
    table = read_images([(Image.fromarray(image), label) for image, label in zip(COLOUR, Y, strict=True)])
    assert table.labels == Y


def test_images_of_different_sizes():
    table = read_images(([made.picture(8, 9), made.picture(20, 5)], ["a", "b"]))
    assert [decode(item.source).size for item in table.items] == [(8, 9), (20, 5)]


def test_float_arrays_in_a_list_share_one_range():
    table = read_images([np.full((5, 5), 0.5), np.full((5, 5), 200.0)])
    assert table.pixel_range == (0.0, 255.0)
    assert decode(table.items[0].source).pixels.max() <= 1


def test_one_image_as_an_array():
    assert len(read_images(made.picture())) == 1
    assert len(read_images(COLOUR)) == 5
