"""The compiled ops of the extra ``autodl[fast]``, for images on the CPU."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from autodl.augment.geometry import fraction_bits
from autodl.augment.layout import dense, is_interleaved, like, rows_of_bytes
from autodl.augment.op_table import CUTOUT_FILL
from autodl.augment.step import Step
from autodl.errors import MissingDependencyError


@cache
def numba_installed() -> bool:
    """Whether numba can be imported (it is not imported here: that takes half a second) and compiles."""
    return os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0") and find_spec("numba") is not None


@cache
def _kernels() -> ModuleType:
    try:
        from autodl.augment import numba_kernels  # noqa: PLC0415  # optional and slow to import
    except ImportError as error:
        raise MissingDependencyError(
            "the compiled augmentation needs numba: pip install 'autodl[fast]'"
        ) from error
    return numba_kernels


@cache
def compiled_before() -> bool:
    """Whether an earlier process left the compiled ops on disk, so that they load in no time."""
    if not numba_installed():
        return False
    kernels = _kernels()
    stored = kernels.run_batch.stats.cache_path
    source = max(file.stat().st_mtime for file in kernels.SOURCES)
    files = Path(stored).glob("numba_kernels.*run_batch-*.nbc") if stored else ()
    return any(file.stat().st_mtime >= source for file in files)


@cache
def compile_ops() -> float:
    """Compile the ops, or load them from disk, once a process.

    Returns:
        Seconds that took: about ten the first time on a machine, half a second later.
    """
    started = time.perf_counter()
    image = torch.zeros(1, 1, 1, 1, dtype=torch.uint8)
    numba_ops(image, [Step(torch.zeros(1, dtype=torch.int64), torch.zeros(1))])
    return time.perf_counter() - started


def numba_ops(images: Tensor, steps: Sequence[Step]) -> Tensor:
    """A `Backend`: each image goes through all steps before the next one."""
    kernels: Any = _kernels()
    images = dense(images)
    number, channels, height, width = images.shape
    result = like(images)
    if images.numel() == 0:
        return result
    magnitudes = torch.stack([step.magnitudes.to("cpu", torch.float32) for step in steps])
    angles = magnitudes.double() * (math.pi / 180)
    middle = torch.full((1, 2), 0.5).expand(number, 2)
    places = [middle if step.places is None else step.places.to("cpu", torch.float32) for step in steps]
    kernels.run_batch(
        rows_of_bytes(images).numpy(),
        rows_of_bytes(result).numpy(),
        torch.stack([step.ops for step in steps]).numpy(),
        magnitudes.numpy(),
        torch.stack([angles.cos(), angles.sin()]).numpy(),
        torch.stack(places).numpy(),
        _fill(channels),
        (channels, height, width),
        channels > 1 and is_interleaved(images),
        fraction_bits(height, width),
    )
    return result


@cache
def _fill(channels: int) -> Any:
    return torch.tensor(CUTOUT_FILL[channels], dtype=torch.uint8).numpy()
