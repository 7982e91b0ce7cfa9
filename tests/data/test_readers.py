"""`read_images`: every form of data finds its reader, every mistake its message."""

from __future__ import annotations

import os
import zipfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from autodl.data import Dataset, read_images
from autodl.errors import AutoDLError, DataError, DataNotFoundError, EmptyDataError, LabelError
from tests.data import made


def test_paths_as_text_and_with_a_tilde(tmp_path, monkeypatch):
    made.class_folders(tmp_path / "photos")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(read_images("~/photos")) == len(read_images(str(tmp_path / "photos"))) == 6


def test_single_images_and_lists(tmp_path):
    path = made.write(tmp_path / "a.png")
    forms = [
        path,
        str(path),
        path.read_bytes(),
        Image.fromarray(made.picture()),
        [str(path)],
        (path,),
        pd.Series([str(path)]),
    ]
    for form in forms:
        table = read_images(form)
        assert len(table) == 1 and not table.is_labelled
    assert read_images([path, path]).names == [str(path)] * 2
    assert read_images((str(path), str(path))).labels == [None, None]
    assert read_images(np.array([str(path)])).names == [str(path)]


def test_paths_with_labels(tmp_path):
    paths = [str(made.write(tmp_path / f"{i}.png")) for i in range(2)]
    assert read_images((paths, ["a", "b"])).labels == ["a", "b"]
    assert read_images([(paths[0], "a"), (paths[1], "b")]).labels == ["a", "b"]
    assert read_images((pd.DataFrame({"path": paths}), ["a", "b"])).labels == ["a", "b"]


def test_flat_frames_of_numbers_are_arrays():
    frame = pd.DataFrame(np.zeros((3, 64)))
    assert len(read_images((frame, [0, 1, 0]))) == 3


def test_tables_and_datasets_pass_through(tmp_path):
    data = Dataset(made.class_folders(tmp_path))
    assert read_images(data) is data.table and read_images(data.table) is data.table


def test_npz(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((3, 8, 8), np.uint8), y=[0, 1, 0])
    assert read_images(tmp_path / "a.npz").labels == [0, 1, 0]
    np.savez(tmp_path / "b.npz", z=[1])
    with pytest.raises(DataError, match=r'needs arrays "x".*it has z'):
        read_images(tmp_path / "b.npz")


def test_npz_is_never_unpickled(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="cannot be read"):
        read_images(tmp_path / "a.npz")


def test_one_split_of_a_folder(tmp_path):
    for split in ("train", "valid"):
        made.class_folders(tmp_path / split)
    assert read_images(tmp_path).splits == ("train", "val")
    assert {item.split for item in read_images(tmp_path, split="valid").items} == {"val"}
    with pytest.raises(DataError, match="no split 'test'; splits there: train, val"):
        read_images(tmp_path, split="test")


def test_labels_required_but_absent(tmp_path):
    made.write(tmp_path / "a.png")
    with pytest.raises(LabelError, match="a folder per class"):
        read_images(tmp_path, labelled=True)


@pytest.mark.parametrize("data", ["nowhere", "nowhere.zip", "x" * 5000, "a\0b", "x/" * 3000])
def test_paths_that_do_not_exist(data):
    with pytest.raises(DataNotFoundError) as caught:
        read_images(data)
    assert isinstance(caught.value, FileNotFoundError) and len(str(caught.value)) < 600


def test_a_path_on_another_machine():
    with pytest.raises(DataError, match="download it first"):
        read_images("https://example.org/cats.zip")


@pytest.mark.parametrize("data", [None, 7, 1.5, object(), {1, 2}, lambda: 0])
def test_forms_that_are_unknown_list_the_known_ones(data):
    with pytest.raises(DataError, match="a folder with a folder per class"):
        read_images(data)


@pytest.mark.parametrize("data", [[], (), np.zeros((0, 8, 8)), pd.DataFrame({"image": [], "label": []}), {}])
def test_nothing_at_all(data):
    with pytest.raises((EmptyDataError, DataError)):
        read_images(data)


def test_a_path_with_labels_beside_it(tmp_path):
    with pytest.raises(DataError, match="list of paths"):
        read_images((str(tmp_path), ["a"]))


def test_a_file_of_no_known_kind(tmp_path):
    (tmp_path / "a.xyz").write_bytes(b"hello")
    with pytest.raises(DataError, match="no image, table or archive"):
        read_images(tmp_path / "a.xyz")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="neither a file nor a folder"):
        read_images(tmp_path / "pipe")


def test_an_image_without_its_suffix(tmp_path):
    (tmp_path / "photo").write_bytes(made.encode(made.picture()))
    assert len(read_images(tmp_path / "photo")) == 1


def test_every_error_is_one_of_ours(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w"):
        pass
    for data in (tmp_path / "a.zip", tmp_path / "none", tmp_path, [], 3):
        with pytest.raises(AutoDLError):
            read_images(data)
