"""The table and its fingerprint."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest
from PIL import Image

from autodl.data import ImageItem, ImageTable, read_images
from autodl.data.table import name_some, shorten
from autodl.errors import DataError
from tests.data import made


def test_select_keeps_the_order_asked_for(tmp_path):
    table = read_images(made.class_folders(tmp_path))
    assert table.select(np.array([5, 0])).labels == ["dog", "cat"]


def test_where_split_lists_the_splits():
    table = ImageTable((ImageItem("a", b"x", split="train"),), "photos")
    assert len(table.where_split("train")) == 1
    with pytest.raises(DataError, match="photos has no split 'val'; splits there: train"):
        table.where_split("val")


def test_the_fingerprint_follows_the_content(tmp_path):
    root = made.class_folders(tmp_path)
    before = read_images(root).fingerprint()
    assert read_images(root).fingerprint() == before
    path = root / "cat" / "0.png"
    os.utime(path, ns=(1, 1))
    touched = read_images(root).fingerprint()
    path.rename(root / "dog" / "9.png")
    moved = read_images(root).fingerprint()
    assert len({before, touched, moved}) == 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (made.picture(), made.picture(seed=1)),
        (Image.fromarray(made.picture()), Image.fromarray(made.picture(seed=1))),
        (made.encode(made.picture()), made.encode(made.picture(seed=1))),
        (([made.picture()], ["a"]), ([made.picture()], ["b"])),
        (([made.picture()], [1]), ([made.picture()], ["1"])),
    ],
)
def test_other_content_or_label_is_another_fingerprint(one, other):
    assert (
        read_images(one).fingerprint() == read_images(one).fingerprint() != read_images(other).fingerprint()
    )


def test_a_missing_file_has_a_fingerprint_too(tmp_path):
    assert read_images([tmp_path / "none.png"]).fingerprint()


def test_tables_pickle(tmp_path):
    table = read_images(made.class_folders(tmp_path))
    assert pickle.loads(pickle.dumps(table)).fingerprint() == table.fingerprint()


def test_long_names_are_cut_in_messages():
    assert shorten("a" * 50 + "b" * 50, 21) == "aaaaaaaaa...bbbbbbbbb"
    assert name_some(["a", "b", "c"], 2) == "a, b and 1 more"
