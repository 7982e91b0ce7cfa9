"""Data sets read item by item, known by what they can do."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, Dataset, IterableDataset, Subset, TensorDataset

from autodl.data import decode, read_images
from autodl.data.scan import read_all
from autodl.errors import DataError, LabelError
from tests.data import made


class Photos(Dataset):
    """Six PIL images; counts how often each is read."""

    def __init__(self):
        self.reads = []

    def __len__(self):
        return 6

    def __getitem__(self, index):
        self.reads.append(index)
        return Image.fromarray(made.picture(seed=index)), index % 2


class KnownPhotos(Photos):
    classes = ("cat", "dog")

    def __init__(self):
        super().__init__()
        self.targets = [index % 2 for index in range(6)]


def test_images_are_read_when_they_are_needed():
    photos = KnownPhotos()
    table = read_images(photos)
    assert set(photos.reads) <= {0}
    assert table.labels == ["cat", "dog"] * 3
    np.testing.assert_array_equal(decode(table.items[4].source).pixels, made.picture(seed=4))


def test_without_targets_the_items_tell_the_labels():
    assert read_images(Photos()).labels == [0, 1] * 3


def test_subsets_and_concatenations_know_their_labels():
    photos = KnownPhotos()
    assert read_images(Subset(photos, [1, 3, 4])).labels == ["dog", "dog", "cat"]
    assert read_images(ConcatDataset([photos, photos])).labels == [0, 1] * 6
    assert set(photos.reads) <= {0, 1}


def test_tensors_are_scaled_by_one_range():
    images = torch.stack([torch.full((3, 6, 6), value) for value in (0.25, 1.0)])
    table = read_images(TensorDataset(images, torch.tensor([0, 1])))
    assert [int(decode(item.source).pixels[0, 0, 0]) for item in table.items] == [64, 255]
    again = read_images(TensorDataset(images[:1], torch.tensor([0])), pixel_range=table.pixel_range)
    assert decode(again.items[0].source).pixels.max() == 64


def test_items_without_labels():
    class Bare(Photos):
        def __getitem__(self, index):
            return super().__getitem__(index)[0]

    assert read_images(Bare()).labels == [None] * 6
    with pytest.raises(LabelError, match=r"must be \(image, label\)"):
        read_images(Bare(), labelled=True)


def test_anything_with_length_and_items_will_do():
    class Plain:
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return made.picture(seed=index), "ab"[index]

    assert read_images(Plain()).labels == ["a", "b"]


def test_an_item_that_fails_is_a_bad_image():
    class Broken(KnownPhotos):
        def __getitem__(self, index):
            if index == 3:
                raise OSError("disk error")
            return super().__getitem__(index)

    report = read_all(read_images(Broken()), size=8, num_threads=2)
    assert report.names("unreadable") == ["row 3"]


def test_an_iterable_data_set_is_refused():
    class Stream(IterableDataset):
        def __iter__(self):
            yield 1

    with pytest.raises(DataError, match="map-style"):
        read_images(Stream())


def test_an_image_folder_is_read_as_files(tmp_path):
    torchvision = pytest.importorskip("torchvision")
    folder = torchvision.datasets.ImageFolder(str(made.class_folders(tmp_path)))
    table = read_images(folder)
    assert table.labels == ["cat"] * 3 + ["dog"] * 3
    assert table.names[0] == str(tmp_path / "cat" / "0.png")


def test_lazy_tables_pickle_and_differ_from_each_other():
    table = read_images(KnownPhotos())
    copy = pickle.loads(pickle.dumps(table))
    assert copy.fingerprint() == table.fingerprint() != read_images(KnownPhotos()).fingerprint()
    assert decode(copy.items[2].source).size == (12, 16)


class ClassLabel:
    names = ("cat", "dog")


class Image_:  # the feature is known by its class's name, which is set below
    def __init__(self, decode=True):
        self.decode = decode


Image_.__name__ = "Image"


class HuggingFace:
    """What autodl uses of a datasets.Dataset."""

    def __init__(self, image="image", label="label", decoded=True):
        self.columns = {image: Image_(decoded), label: ClassLabel(), "id": object()}
        self.image, self.label, self.decoded = image, label, decoded

    @property
    def column_names(self):
        return list(self.columns)

    @property
    def features(self):
        return self.columns

    def __len__(self):
        return 4

    def __getitem__(self, key):
        if key == self.label:
            return [0, 1, -1, 1]
        content = made.encode(made.picture(seed=key))
        return {self.image: {"bytes": content, "path": None}, self.label: key % 2}

    def cast_column(self, name, feature):
        assert name == self.image and feature.decode is False
        return HuggingFace(self.image, self.label, decoded=False)


def test_hugging_face_by_its_features():
    table = read_images(HuggingFace("picture", "what"))
    assert table.labels == ["cat", "dog", None, "dog"]
    np.testing.assert_array_equal(decode(table.items[3].source).pixels, made.picture(seed=3))
    assert table.items[0].source.shared.dataset.decoded is False


def test_hugging_face_splits():
    data = {"train": HuggingFace(), "test": HuggingFace("img")}
    assert len(read_images(data)) == 4
    assert len(read_images(data, split="test")) == 4
    with pytest.raises(DataError, match="no split 'val'; splits there: train, test"):
        read_images(data, split="val")


def test_hugging_face_columns_that_are_not_there():
    with pytest.raises(DataError, match="columns: image, label, id"):
        read_images(HuggingFace(), image="nope")
    with pytest.raises(LabelError, match="columns: image, label, id"):
        read_images(HuggingFace(), label="nope")
