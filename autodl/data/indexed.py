"""Data sets that are read item by item: torch's and Hugging Face's, known by what they can do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autodl.data.arrays import label_list
from autodl.data.frames import IMAGE_COLUMNS, LABEL_COLUMNS
from autodl.data.scaling import guess_range
from autodl.data.sources import IndexedImage, SharedDataset, as_source
from autodl.data.table import ImageItem, ImageTable
from autodl.errors import DataError, LabelError

_PROBED = 64  # items looked at to learn the range of pixel values


def is_hugging_face(data: object) -> bool:
    """Whether the object looks like a ``datasets.Dataset``."""
    return all(hasattr(data, name) for name in ("column_names", "features", "__getitem__", "__len__"))


def is_map_style(data: object) -> bool:
    """Whether the object can be read as a map-style ``torch.utils.data.Dataset`` is."""
    return hasattr(data, "__getitem__") and hasattr(data, "__len__")


def is_iterable_torch_dataset(data: object) -> bool:
    """Whether the object is a torch data set without random access."""
    return any(base.__name__ == "IterableDataset" for base in type(data).__mro__)


def read_torch(
    dataset: Any, *, labelled: bool | None = None, pixel_range: tuple[float, float] | None = None
) -> ImageTable:
    """A torch data set whose items are (image, label) or images.

    Images stay where they are until they are needed. Labels are taken from ``targets``,
    ``labels`` or ``samples`` (also through ``Subset``) if the set has them; else every item is
    read once more to learn its label.

    Args:
        dataset: map-style; images are PIL images, arrays or tensors.
        labelled: whether there must be labels.
        pixel_range: values of black and white of arrays and tensors; None: guessed from the
            first items.

    Raises:
        LabelError: items have no label and `labelled` is true.
    """
    count = len(dataset)
    origin = f"the data set {type(dataset).__name__}"
    if not count:
        return ImageTable((), origin)
    if (files := _image_folder_files(dataset)) is not None:
        values = _names_of(dataset, [target for _, target in files])
        rows = zip(files, values, strict=True)
        return ImageTable(tuple(ImageItem(str(path), path, value) for (path, _), value in rows), origin)
    shared = SharedDataset(dataset)
    first = shared.read(0)
    has_label = isinstance(first, (tuple, list)) and len(first) >= 2
    part = 0 if isinstance(first, (tuple, list)) else None
    if labelled and not has_label:
        raise LabelError(f"items of {origin} must be (image, label), got {type(first).__name__}")
    labels: Sequence[object] = [None] * count
    if has_label and labelled is not False:
        known = known_labels(dataset)
        if known is None:
            known = [shared.read(row)[1] for row in range(count)]
        labels = _names_of(dataset, label_list(known, count, origin))
    pixel_range = pixel_range or _guess_range(shared, count, part)
    items = tuple(
        ImageItem(f"row {row}", IndexedImage(shared, row, part, pixel_range), labels[row])
        for row in range(count)
    )
    return ImageTable(items, origin, pixel_range=pixel_range)


def known_labels(dataset: Any) -> list[object] | None:
    """A torch data set's labels without reading an image; None if that cannot be."""
    if getattr(dataset, "target_transform", None) is not None:
        return None
    if hasattr(dataset, "indices") and hasattr(dataset, "dataset"):  # torch.utils.data.Subset
        inner = known_labels(dataset.dataset)
        return None if inner is None else [inner[int(index)] for index in dataset.indices]
    if hasattr(dataset, "datasets") and hasattr(dataset, "cumulative_sizes"):  # ConcatDataset
        parts = [known_labels(part) for part in dataset.datasets]
        return None if any(part is None for part in parts) else [v for part in parts if part for v in part]
    for name in ("targets", "labels"):
        values = getattr(dataset, name, None)
        if values is not None and hasattr(values, "__len__") and len(values) == len(dataset):
            return list(values.tolist() if hasattr(values, "tolist") else values)
    return None


def _names_of(dataset: Any, labels: list[object]) -> list[object]:
    """Class names instead of numbers where the data set knows them (``classes``)."""
    while hasattr(dataset, "dataset") and not hasattr(dataset, "classes"):
        dataset = dataset.dataset
    names = getattr(dataset, "classes", None)
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        return labels
    if not all(isinstance(v, int) and 0 <= v < len(names) for v in labels) or len(set(names)) < len(names):
        return labels
    return [names[value] for value in labels if isinstance(value, int)]


def _guess_range(shared: SharedDataset, count: int, part: int | str | None) -> tuple[float, float] | None:
    ranges = []
    for row in np.unique(np.linspace(0, count - 1, min(count, _PROBED)).astype(int)).tolist():
        item = shared.read(row)
        source = as_source(item if part is None else item[part])
        if not isinstance(source, np.ndarray):
            return None
        ranges.append(guess_range(source))
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def read_hugging_face(
    dataset: Any, *, label: str | None = None, image: str | None = None, labelled: bool | None = None
) -> ImageTable:
    """A Hugging Face data set, without importing their library.

    Args:
        dataset: one split.
        label: the label column; None: the only ClassLabel, or by name as in `frames`.
        image: the image column; None: the only Image feature, or by name as in `frames`.
        labelled: whether there must be labels.

    Raises:
        DataError: there is no such image column; the message lists the columns.
        LabelError: there is no such label column.
    """
    columns = list(dataset.column_names)
    listed = ", ".join(columns)
    origin = "the Hugging Face data set"
    image = image or _find(dataset, columns, "Image", IMAGE_COLUMNS)
    if image is None or image not in columns:
        raise DataError(f"which column of {origin} holds the images? Name it: image=...; columns: {listed}")
    if labelled is False:
        label = None
    else:
        others = [name for name in columns if name != image]
        label = label or _find(dataset, others, "ClassLabel", LABEL_COLUMNS)
        if (label is None and labelled) or (label is not None and label not in columns):
            raise LabelError(f"{origin} has no label column {label!r}; name it: label=...; columns: {listed}")
    labels: list[object] = [None] * len(dataset)
    if label is not None:
        labels = label_list(list(dataset[label]), len(dataset), origin)
        names = getattr(dataset.features[label], "names", None)
        if names:  # -1 stands for "no label"
            labels = [names[v] if isinstance(v, int) and v >= 0 else None for v in labels]
    shared = SharedDataset(_undecoded(dataset, image))
    items = tuple(
        ImageItem(f"row {row}", IndexedImage(shared, row, image), labels[row]) for row in range(len(dataset))
    )
    return ImageTable(items, origin)


def _find(dataset: Any, columns: list[str], feature: str, names: tuple[str, ...]) -> str | None:
    features = dataset.features or {}
    fitting = [name for name in columns if type(features.get(name)).__name__ == feature]
    if len(fitting) == 1:
        return fitting[0]
    candidates = fitting or columns
    return next((name for name in names if name in candidates), None)


def _undecoded(dataset: Any, image: str) -> Any:
    """The data set with encoded images, so that decoding happens here, on many threads."""
    feature = (dataset.features or {}).get(image)
    if feature is None or type(feature).__name__ != "Image" or not hasattr(dataset, "cast_column"):
        return dataset
    return dataset.cast_column(image, type(feature)(decode=False))


def _image_folder_files(dataset: Any) -> list[tuple[Path, object]] | None:
    """The files behind a torchvision ``ImageFolder`` without transforms; None for others.

    Read as files they are decoded on many threads, by the rules for odd images.
    """
    samples = getattr(dataset, "samples", None)
    plain = getattr(dataset, "transform", 0) is None and getattr(dataset, "target_transform", 0) is None
    loader = getattr(getattr(dataset, "loader", None), "__name__", "")
    if not plain or loader != "default_loader" or not isinstance(samples, list):
        return None
    return [(Path(path), target) for path, target in samples]
