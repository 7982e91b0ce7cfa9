"""`read_images`: whatever a person has, as an `ImageTable`."""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from autodl.data.archives import read_archive
from autodl.data.arrays import is_stack, read_arrays, read_list
from autodl.data.folders import read_folder
from autodl.data.formats import (
    HEAD_BYTES,
    TABLE_SUFFIXES,
    has_archive_suffix,
    has_image_suffix,
    looks_like_image,
    suffix_of,
)
from autodl.data.frames import read_csv, read_frame, read_parquet
from autodl.data.indexed import (
    is_hugging_face,
    is_iterable_torch_dataset,
    is_map_style,
    read_hugging_face,
    read_torch,
)
from autodl.data.layout import SPLIT_NAMES
from autodl.data.sources import as_array
from autodl.data.table import ImageItem, ImageTable, shorten
from autodl.errors import DataError, DataNotFoundError, EmptyDataError, LabelError

_ACCEPTED = (
    "a folder with a folder per class, a zip or tar of one, a CSV or parquet file or DataFrame with an image "
    "and a label column, (images, labels), a torch or Hugging Face data set, an image, or a list of images"
)
_NPZ_IMAGES = ("x", "images", "image", "data", "arr_0")
_NPZ_LABELS = ("y", "labels", "label", "target", "arr_1")


def read_images(  # the facade of the package; all but the data are options
    data: Any,
    *,
    label: str | None = None,
    image: str | None = None,
    split: str | None = None,
    labelled: bool | None = None,
    pixel_range: tuple[float, float] | None = None,
) -> ImageTable:
    """Read any form of image data into a table; pixels are not decoded yet.

    Args:
        data: a folder with a folder per class (also below train, val, test); a zip or tar of one;
            a CSV, TSV or parquet file or DataFrame; ``(images, labels)``; arrays; a torch data
            set; a Hugging Face data set; a `Dataset`; an image or a list of images.
        label: the label column of a table; None: guessed (`frames.find_columns`).
        image: the image column of a table; None: guessed.
        split: keep only this split: "train", "val", "test", or a key of a Hugging Face data set.
        labelled: True: an error if there are no labels. False: labels are passed over, and every
            image counts. None: labels where there are any.
        pixel_range: values of black and white of raw arrays, from the `ImageTable.pixel_range` of
            the data that a model was fitted on; None: guessed.

    Raises:
        DataNotFoundError: the path does not exist.
        EmptyDataError: there is no image.
        LabelError: there are no labels but must be, or they do not match the images.
        DataError: the data is of no known form; the message lists the forms.
    """
    if isinstance(data, Mapping):
        data, split = _pick_split(data, split)
    table = _read(data, label, image, labelled, pixel_range)
    if split is not None and table.splits:
        table = table.where_split(SPLIT_NAMES.get(split.lower(), split))
    if not len(table):
        raise EmptyDataError(f"there is no image in {table.origin}")
    if labelled is False:
        return replace(table, items=tuple(ImageItem(i.name, i.source, None, i.split) for i in table.items))
    if labelled and not table.is_labelled:
        raise LabelError(
            f"the images in {table.origin} have no labels; give a folder per class, or a table with a "
            "label column"
        )
    return table


def _read(
    data: Any,
    label: str | None,
    image: str | None,
    labelled: bool | None,
    pixel_range: tuple[float, float] | None,
) -> ImageTable:
    if isinstance(data, ImageTable):
        return data
    if isinstance(getattr(data, "table", None), ImageTable):  # our own Dataset
        table: ImageTable = data.table
        return table
    if isinstance(data, (str, os.PathLike)):
        return _read_path(Path(data), label, image, labelled)
    if isinstance(data, pd.DataFrame):
        return read_frame(data, label=label, image=image, labelled=labelled)
    if isinstance(data, (Image.Image, bytes)):
        return read_list([data])
    if isinstance(data, pd.Series):
        return read_list(data.tolist(), pixel_range=pixel_range)
    if is_hugging_face(data):
        return read_hugging_face(data, label=label, image=image, labelled=labelled)
    if (array := as_array(data)) is not None:
        return _read_array(array, None, pixel_range)
    if isinstance(data, Mapping):
        return read_frame(pd.DataFrame(dict(data)), label=label, image=image, labelled=labelled)
    if is_iterable_torch_dataset(data):
        raise DataError("a torch IterableDataset cannot be read in any order; give a map-style data set")
    if isinstance(data, Sequence):
        return _read_sequence(data, pixel_range)
    if hasattr(data, "to_pandas"):  # polars, pyarrow
        return read_frame(data.to_pandas(), label=label, image=image, labelled=labelled)
    if is_map_style(data):
        return read_torch(data, labelled=labelled, pixel_range=pixel_range)
    raise DataError(f"cannot read images from a {type(data).__name__}; give {_ACCEPTED}")


def _pick_split(data: Mapping[Any, Any], split: str | None) -> tuple[Any, str | None]:
    """One split of a Hugging Face ``DatasetDict``; any other mapping as it is."""
    if not data or not all(is_hugging_face(part) for part in data.values()):
        return data, split
    if split is None and len(data) == 1:
        return next(iter(data.values())), None
    key = "train" if split is None else split
    if key not in data:
        raise DataError(f"the data set has no split {key!r}; splits there: {', '.join(map(str, data))}")
    return data[key], None


def _read_path(path: Path, label: str | None, image: str | None, labelled: bool | None) -> ImageTable:
    path = path.expanduser()
    name = shorten(str(path), 200)
    if "://" in str(path) or ":/" in str(path)[:8]:
        raise DataError(f"{name} is not on this machine; download it first")
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
        exists = path.exists()
    except (OSError, ValueError) as error:  # too long a name, a zero character, no permission
        reason = getattr(error, "strerror", None) or "not a possible file name"
        raise DataNotFoundError(f"{name} cannot be opened: {reason}") from error
    if not exists:
        raise DataNotFoundError(f"{name} does not exist (the current folder is {Path.cwd()})")
    if is_folder:
        return read_folder(path, labelled=labelled)
    if not is_file:
        raise DataError(f"{name} is neither a file nor a folder")
    return _read_file(path, label, image, labelled)


def _read_file(path: Path, label: str | None, image: str | None, labelled: bool | None) -> ImageTable:
    suffix = suffix_of(path.name)
    if suffix in TABLE_SUFFIXES:
        frame = read_csv(path) if suffix in (".csv", ".tsv") else read_parquet(path)
        if not len(frame):
            raise EmptyDataError(f"the table {path} has no rows")
        return read_frame(
            frame, label=label, image=image, labelled=labelled, base=path.parent, origin=str(path)
        )
    if has_image_suffix(path.name):
        return read_list([path])
    if suffix == ".npz":
        return _read_npz(path)
    if has_archive_suffix(path.name):
        return read_archive(path, labelled=labelled)
    try:
        with path.open("rb") as stream:
            if looks_like_image(stream.read(HEAD_BYTES)):
                return read_list([path])
        if zipfile.is_zipfile(path) or tarfile.is_tarfile(path):
            return read_archive(path, labelled=labelled)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    raise DataError(f"{path} is no image, table or archive; give {_ACCEPTED}")


def _read_npz(path: Path) -> ImageTable:
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = {name.lower(): content[name] for name in content.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    images = next((arrays[name] for name in _NPZ_IMAGES if name in arrays), None)
    labels = next((arrays[name] for name in _NPZ_LABELS if name in arrays), None)
    if images is None:
        raise DataError(f'{path} needs arrays "x" (images) and "y" (labels); it has {", ".join(arrays)}')
    return replace(read_arrays(images, labels), origin=str(path))


def _read_array(array: np.ndarray, labels: Any, pixel_range: tuple[float, float] | None) -> ImageTable:
    if array.dtype == object:  # ragged images, or an array of paths
        return read_list(list(array), labels, pixel_range=pixel_range)
    if array.dtype.kind in "US":
        return read_list([str(value) for value in array.ravel()], labels)
    if labels is None and not is_stack(array):
        return read_list([array], pixel_range=pixel_range)
    return read_arrays(array, labels, pixel_range=pixel_range)


def _read_sequence(data: Sequence[Any], pixel_range: tuple[float, float] | None) -> ImageTable:
    """A list of images, ``(images, labels)``, or a list of (image, label) pairs."""
    if not len(data):
        raise EmptyDataError("there is no image in the list: it is empty")
    if isinstance(data[0], (str, os.PathLike)) and len(data) == 2 and _is_collection(data[1]):
        raise DataError("labels beside a path: give a list of paths with as many labels, or a table")
    if isinstance(data, tuple) and len(data) == 2 and _is_collection(data[0]) and _is_labels(data[1]):
        return _read_pair(data[0], data[1], pixel_range)
    if all(_is_labelled_image(entry) for entry in data):
        return read_list([entry[0] for entry in data], [entry[1] for entry in data], pixel_range=pixel_range)
    return read_list(data, pixel_range=pixel_range)


def _read_pair(images: Any, labels: Any, pixel_range: tuple[float, float] | None) -> ImageTable:
    if isinstance(images, pd.DataFrame):
        if all(pd.api.types.is_numeric_dtype(kind) for kind in images.dtypes):
            return read_arrays(images.to_numpy(), labels, pixel_range=pixel_range)
        table = read_frame(images, labelled=False)
        return _read_pair([item.source for item in table.items], labels, pixel_range)
    if isinstance(images, pd.Series):
        images = images.tolist()
    if (array := as_array(images)) is not None:
        return _read_array(array, labels, pixel_range)
    return read_list(list(images), labels, pixel_range=pixel_range)


def _is_labelled_image(entry: object) -> bool:
    return isinstance(entry, (tuple, list)) and len(entry) == 2 and not _is_collection(entry[1])


def _is_collection(value: object) -> bool:
    if isinstance(value, (str, bytes, Image.Image, os.PathLike, Mapping)):
        return False
    array = as_array(value)
    return array.ndim > 0 if array is not None else hasattr(value, "__len__")


def _is_labels(value: object) -> bool:
    """Whether the second of two things is labels, not a second image."""
    if not _is_collection(value):
        return False
    array = as_array(value)
    if array is not None:
        return array.ndim <= 2
    return not any(isinstance(entry, (Image.Image, np.ndarray, bytes)) for entry in list(value)[:1])  # type: ignore[call-overload]
