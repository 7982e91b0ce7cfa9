"""Ops on whole uint8 batches: each image its own op and magnitude."""

from __future__ import annotations

import torch
from torch import Tensor

from autodl.augment.backends import run_steps
from autodl.augment.op_table import CUTOUT_FILL, OP_INDEX, OP_NAMES, OPS, Op
from autodl.augment.step import Step
from autodl.errors import OptionError

__all__ = ["CUTOUT_FILL", "OPS", "OP_INDEX", "OP_NAMES", "Op", "apply_ops"]


def apply_ops(
    images: Tensor,
    ops: Tensor,
    magnitudes: Tensor,
    *,
    places: Tensor | None = None,
    backend: str = "auto",
) -> Tensor:
    """Apply one op to each image of a batch.

    Magnitudes are in the units of torchvision's functional calls: ShearX and ShearY the tangent,
    TranslateX and TranslateY pixels (cut to whole ones), Rotate degrees anti-clockwise, Solarize
    the threshold (above 255: nothing happens), Posterize bits, Contrast, Color, Brightness and
    Sharpness the factor (1: nothing happens), Cutout the side in pixels. The other ops ignore
    theirs. Geometry takes the nearest pixel and fills with black.

    Args:
        images: (n, c, h, w) uint8 with 1 or 3 channels, any memory layout; not written to.
        ops: (n,) int64, indices into `OP_NAMES`; kept on the CPU they cost no wait for a device.
        magnitudes: (n,) float32.
        places: (n, 2) float in [0, 1), centre (y, x) of what Cutout paints; None: the middle.
        backend: "auto", "torch", "numba" or "pil". "auto" takes numba where it is installed,
            torch for small images, and what is fastest image by image for large ones. Bytes are the
            same with all but "pil", in which fewer than one pixel in a thousand of what is sheared or
            rotated comes from a neighbour of its source.

    Returns:
        A new (n, c, h, w) uint8 batch in the memory layout of ``images``.

    Raises:
        OptionError: shapes, types or indices are not as above.
        MissingDependencyError: backend "numba" without numba.
        UnknownNameError: no such backend.
    """
    check_batch(images)
    return run_steps(images, [checked_step(len(images), ops, magnitudes, places)], backend)


def check_batch(images: Tensor) -> None:
    """Whether ops can work on a batch.

    Raises:
        OptionError: it is not (n, 1 or 3, h, w) uint8.
    """
    if images.ndim != 4 or images.dtype != torch.uint8 or images.shape[1] not in CUTOUT_FILL:
        raise OptionError(
            f"images must be (n, 1 or 3, h, w) uint8, got {tuple(images.shape)} {images.dtype}; "
            "drop an alpha channel with images[:, :3], stack a single image as images[None]"
        )


def checked_step(number: int, ops: Tensor, magnitudes: Tensor, places: Tensor | None) -> Step:
    """One op for each of `number` images, with the arguments of `apply_ops`.

    Raises:
        OptionError: shapes, types or indices are not as there.
    """
    if ops.shape != (number,) or ops.dtype != torch.int64:
        raise OptionError(f"ops must be ({number},) int64, got {tuple(ops.shape)} {ops.dtype}")
    ops = ops.cpu()
    if number and not 0 <= int(ops.min()) <= int(ops.max()) < len(OP_NAMES):
        raise OptionError(f"ops must be in 0..{len(OP_NAMES) - 1}, got {int(ops.min())}..{int(ops.max())}")
    if magnitudes.shape != (number,) or not magnitudes.is_floating_point():
        raise OptionError(
            f"magnitudes must be ({number},) float, got {tuple(magnitudes.shape)} {magnitudes.dtype}"
        )
    if places is not None and places.shape != (number, 2):
        raise OptionError(f"places must be ({number}, 2), got {tuple(places.shape)}")
    return Step(ops, magnitudes, places)
