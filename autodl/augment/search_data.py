"""The images and labels that a policy is searched on, checked once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autodl.errors import DataError, LabelError

LEAST_PER_CLASS = 4
"""Images a class needs: two to train on and two to score policies on."""
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class SearchData:
    """Images and labels.

    Attributes:
        images: (n, c, h, w) uint8 on the CPU.
        labels: (n,) int64 numpy, 0 .. num_classes - 1.
        num_classes: number of classes.
        is_grey: whether no image has any colour.
    """

    images: Tensor
    labels: NDArray[np.int64]
    num_classes: int
    is_grey: bool

    @property
    def side(self) -> int:
        """The shorter side in pixels."""
        return min(self.images.shape[-2:])


def as_search_data(images: Any, labels: Any) -> SearchData:
    """Check what a user gives.

    Args:
        images: (n, c, h, w) uint8, a tensor or an array, c = 1 or 3.
        labels: (n,) class of each image: whole numbers, strings or booleans.

    Raises:
        DataError: images of another type or shape, or none.
        LabelError: not one label an image, one class only, or a class with too few images.
    """
    pixels = _as_pixels(images)
    numbers, num_classes = _as_labels(labels, len(pixels))
    return SearchData(pixels, numbers, num_classes, is_grey(pixels))


def is_grey(images: Tensor) -> bool:
    """Whether all channels of all images are equal."""
    return images.shape[1] == 1 or bool((images == images[:, :1]).all())


def _as_pixels(images: Any) -> Tensor:
    if isinstance(images, np.ndarray):
        if images.dtype != np.uint8:
            raise DataError(f"images must be uint8 (0..255), got {images.dtype}; {_way_out(images.dtype)}")
        images = torch.from_numpy(np.ascontiguousarray(images))
    if not isinstance(images, Tensor):
        raise DataError(
            f"images must be a tensor or an array (n, c, h, w) of uint8, got {type(images).__name__}"
        )
    if images.dtype != torch.uint8:
        raise DataError(f"images must be uint8 (0..255), got {images.dtype}; {_way_out(images.dtype)}")
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        hint = ""
        if images.ndim == 4 and images.shape[-1] in (1, 3):
            hint = "; these look like (n, h, w, c): permute(0, 3, 1, 2) them"
        raise DataError(f"images must be (n, c, h, w) with c = 1 or 3, got {tuple(images.shape)}{hint}")
    if not images.numel():
        raise DataError(f"there are no images: {tuple(images.shape)}")
    return images.detach().cpu()


def _way_out(dtype: object) -> str:
    return "multiply by 255 and convert" if "float" in str(dtype) else "convert them by astype or to"


def _as_labels(labels: Any, number: int) -> tuple[NDArray[np.int64], int]:
    given = labels.detach().cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)
    if given.ndim != 1 or len(given) != number:
        raise LabelError(f"{number} images need labels of shape ({number},), got {given.shape}")
    if given.dtype.kind not in "iubUSO":
        raise LabelError(f"labels must be whole numbers or strings, got {given.dtype}")
    try:
        names, numbers, counts = np.unique(given, return_inverse=True, return_counts=True)
    except TypeError as error:
        raise LabelError(
            "labels must be all of one type; these cannot be compared with each other"
        ) from error
    if len(names) < 2:
        raise LabelError(f"a policy search needs two classes or more; all labels are {names[0]!r}")
    few = [
        (name, count)
        for name, count in zip(names.tolist(), counts.tolist(), strict=True)
        if count < LEAST_PER_CLASS
    ]
    if few:
        shown = ", ".join(f"{name!r} ({count})" for name, count in few[:_SHOWN])
        more = f" and {len(few) - _SHOWN} more" if len(few) > _SHOWN else ""
        raise LabelError(
            f"each class needs {LEAST_PER_CLASS} images or more for a policy search; too few in {len(few)} "
            f"of {len(names)}: {shown}{more}. Add images, or leave these classes out of the search"
        )
    return numbers.astype(np.int64), len(names)
