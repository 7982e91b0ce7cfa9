"""Labels and splits read off paths."""

from __future__ import annotations

import pytest

from autodl.data.layout import Entry, printable, table_of_tree


def read(*paths, **options):
    entries = [Entry(tuple(path.split("/")), b"x") for path in paths]
    return [(i.name, i.label, i.split) for i in table_of_tree(entries, "test", [], **options).items]


def labels_and_splits(*paths):
    return {(label, split) for _, label, split in read(*paths)}


def test_a_flat_folder_has_no_labels():
    assert labels_and_splits("a.png", "b.png") == {(None, None)}


def test_one_folder_is_one_class():
    assert labels_and_splits("cat/a.png", "cat/b.png") == {("cat", None)}


@pytest.mark.parametrize("outer", ["photos/", "photos/v1/", "x/y/z/"])
def test_outer_folders_are_passed_over(outer):
    assert labels_and_splits(f"{outer}cat/a.png", f"{outer}dog/b.png") == {("cat", None), ("dog", None)}


def test_deeper_folders_belong_to_the_class_above():
    paths = ("cat/2021/a.png", "cat/b.png", "dog/2022/may/c.png")
    assert labels_and_splits(*paths) == {("cat", None), ("dog", None)}


def test_splits_in_all_their_spellings():
    rows = read("Train/cat/a.png", "Train/dog/b.png", "Valid/cat/c.png", "TEST/dog/d.png")
    assert [row[1:] for row in rows] == [("dog", "test"), ("cat", "train"), ("dog", "train"), ("cat", "val")]


def test_splits_inside_an_outer_folder_and_around_an_inner_one():
    paths = [f"set/{split}/images/{name}/1.png" for split in ("train", "val") for name in ("a", "b")]
    assert labels_and_splits(*paths) == {("a", "train"), ("b", "train"), ("a", "val"), ("b", "val")}


def test_one_split_alone():
    assert labels_and_splits("train/cat/a.png", "train/dog/b.png") == {("cat", "train"), ("dog", "train")}


def test_a_class_called_train_is_no_split():
    assert labels_and_splits("train/a.png", "car/b.png") == {("train", None), ("car", None)}


def test_an_unlabelled_test_folder_beside_labelled_training():
    paths = ("train/cat/a.png", "train/dog/b.png", "test/1.png")
    assert labels_and_splits(*paths) == {("cat", "train"), ("dog", "train"), (None, "test")}


def test_unlabelled_splits():
    assert labels_and_splits("train/a.png", "test/b.png") == {(None, "train"), (None, "test")}


def test_the_order_does_not_depend_on_the_listing():
    paths = ["b/2.png", "a/1.png", "b/1.png"]
    assert read(*paths) == read(*reversed(paths))


def test_class_names_are_composed_unicode():
    assert labels_and_splits("cafe\u0301/a.png", "tea/b.png") == {("caf\u00e9", None), ("tea", None)}


def test_labels_are_left_out_on_request():
    assert read("cat/a.png", "b.png", labelled=False) == [("b.png", None, None), ("cat/a.png", None, None)]


def test_printable_names_are_text():
    assert printable("a\udcffb").encode("utf-8") == "a\ufffdb".encode()
