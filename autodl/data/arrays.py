"""Arrays and lists of images, with or without labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autodl.data.labels import clean_label
from autodl.data.scaling import guess_range
from autodl.data.sources import ArrayImage, as_array, as_source
from autodl.data.table import ImageItem, ImageTable, Source
from autodl.errors import DataError, LabelError


def label_list(labels: Any, count: int, origin: str) -> list[object]:
    """Labels of any kind of sequence as a list.

    Args:
        labels: (n,) or (n, 1) array, tensor, Series or list.
        count: how many there must be.
        origin: for messages.

    Raises:
        LabelError: there are too many or too few, or the labels are no single column.
    """
    array = as_array(labels)
    if array is None and hasattr(labels, "to_numpy"):
        array = np.asarray(labels.to_numpy())
    if array is not None:
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim != 1:
            raise LabelError(
                f"labels must be one-dimensional, got shape {array.shape} for {origin}; "
                "turn one-hot rows into class numbers with argmax(axis=1)"
            )
        labels = array.tolist()
    values = list(labels)
    if len(values) != count:
        raise LabelError(f"{origin} has {count} images but {len(values)} labels; they must be as many")
    return [clean_label(value) for value in values]


def is_stack(array: np.ndarray) -> bool:
    """Whether an array holds many images, rather than one.

    (h, w, 3) and (h, w, 4) are one image; two dimensions are flat rows, so that one grey image is
    to be given as ``image[None]``.
    """
    return array.ndim == 4 or array.ndim == 2 or (array.ndim == 3 and array.shape[2] not in (3, 4))


def read_arrays(
    images: np.ndarray, labels: Any = None, *, pixel_range: tuple[float, float] | None = None
) -> ImageTable:
    """Images in one array.

    Args:
        images: (n, h, w), (n, h, w, c), (n, c, h, w) with c one of 1, 3, 4, or (n, d) flat grey
            images with d a square number. Numbers are scaled by `scaling.guess_range`.
        labels: (n,), or None.
        pixel_range: values of black and white, to scale as another table was scaled.

    Raises:
        DataError: the shape is none of these, or pixels are not numbers.
        LabelError: labels and images do not match.
    """
    images = _unflatten(images)
    if images.ndim == 4 and not {images.shape[1], images.shape[3]} & {1, 3, 4}:
        raise DataError(
            f"images of shape {images.shape} have no channel axis of 1, 3 or 4, neither last nor second"
        )
    if not len(images):
        return ImageTable((), "arrays")
    pixel_range = pixel_range or guess_range(images)
    values = [None] * len(images) if labels is None else label_list(labels, len(images), "the array")
    items = tuple(
        ImageItem(f"row {row}", ArrayImage(image, pixel_range), label)
        for row, (image, label) in enumerate(zip(images, values, strict=True))
    )
    return ImageTable(items, "arrays", pixel_range=pixel_range)


def _unflatten(images: np.ndarray) -> np.ndarray:
    if images.ndim == 2:
        side = math.isqrt(images.shape[1])
        if side * side != images.shape[1] or side == 0:
            raise DataError(
                f"flat images of {images.shape[1]} values are no squares; reshape them to (n, height, width) "
                "or (n, height, width, channels)"
            )
        return images.reshape(len(images), side, side)
    if images.ndim not in (3, 4):
        raise DataError(
            f"images must have shape (n, h, w), (n, h, w, c), (n, c, h, w) or (n, h * w), got {images.shape}"
        )
    return images


def read_list(
    images: Sequence[Any], labels: Any = None, *, pixel_range: tuple[float, float] | None = None
) -> ImageTable:
    """A list of paths, PIL images, encoded bytes or arrays, mixed at will.

    Args:
        images: the images.
        labels: as many labels, or None.
        pixel_range: values of black and white of arrays, to scale as another table was scaled.

    Raises:
        LabelError: labels and images do not match.
    """
    values = [None] * len(images) if labels is None else label_list(labels, len(images), "the list")
    sources = [as_source(image) for image in images]
    arrays = [source for source in sources if isinstance(source, np.ndarray)]
    if arrays and pixel_range is None:
        pixel_range = _common_range(arrays)
    items = tuple(
        ImageItem(_name(source, row), _scaled(source, pixel_range), label)
        for row, (source, label) in enumerate(zip(sources, values, strict=True))
    )
    return ImageTable(items, "the list", pixel_range=pixel_range if arrays else None)


def _common_range(arrays: Sequence[np.ndarray]) -> tuple[float, float]:
    ranges = [guess_range(array) for array in arrays]
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def _scaled(source: Source, pixel_range: tuple[float, float] | None) -> Source:
    if isinstance(source, np.ndarray) and pixel_range is not None:
        return ArrayImage(source, pixel_range)
    return source


def _name(source: Source, row: int) -> str:
    return str(source) if isinstance(source, Path) else f"row {row}"
