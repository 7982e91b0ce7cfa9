"""The compiled ops, as one function over a batch; imported only where numba is installed.

Everything compiles into `run_batch`, so that one cached file on disk spares the next process the
compiling. numba's cache watches the file of the function that it stores, but not those of the
functions that were compiled into it: their text goes into the cache's key through `stamp_of`.

Numbers of ops are those of `OP_NAMES`; a test compares the two.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from autodl.augment import numba_base, numba_colour, numba_geometry
from autodl.augment.numba_base import ZERO, compiled, copy
from autodl.augment.numba_colour import (
    autocontrast_interleaved,
    autocontrast_plane,
    color,
    contrast,
    equalize,
    invert,
    posterize,
    scale,
    sharpness,
    solarize,
)
from autodl.augment.numba_geometry import cutout, geometry

SOURCES = tuple(
    Path(str(module))
    for module in (numba_base.__file__, numba_colour.__file__, numba_geometry.__file__, __file__)
)
"""The files whose text `run_batch` is compiled from."""


def stamp_of(files: tuple[Path, ...]) -> int:
    """A number that changes with the text of the files; those that cannot be read do not count."""
    value = 0
    for file in files:
        if file.is_file():
            value = zlib.crc32(file.read_bytes(), value)
    return value


@compiled
def _apply(old, new, op, magnitude, cos, sin, place, fill, shape, interleaved, bits):  # type: ignore[no-untyped-def]  # noqa: PLR0913
    channels, height, width = shape
    if 1 <= op <= 5:
        geometry(old, new, op, magnitude, cos, sin, shape, interleaved, bits)
    elif op == 6 and interleaved:
        autocontrast_interleaved(old, new, width)
    elif op == 6:
        part = height * width
        for channel in range(channels):
            autocontrast_plane(old[channel * part :][:part], new[channel * part :][:part])
    elif op == 7:
        invert(old, new)
    elif op == 8:
        equalize(old, new, channels, interleaved)
    elif op == 9:
        solarize(old, new, magnitude)
    elif op == 10:
        posterize(old, new, magnitude)
    elif op == 11:
        contrast(old, new, magnitude, channels, interleaved)
    elif op == 12 and channels == 3:
        color(old, new, magnitude, interleaved)
    elif op == 13:
        scale(old, new, magnitude, ZERO)
    elif op == 14:
        planes = 1 if interleaved else channels
        part = old.size // planes
        for plane in range(planes):
            step = channels if interleaved else 1
            sharpness(old[plane * part :][:part], new[plane * part :][:part], magnitude, height, step)
    elif op == 15:
        cutout(old, new, int(magnitude), place, fill, shape, interleaved)
    else:
        copy(old, new)


def cached(function: Callable[..., Any]) -> Any:
    """Compiled, and kept on disk if there is a place that can be written to."""
    try:
        return njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # neither beside the code nor in the user's cache
        return njit(nogil=True, error_model="numpy")(function)


def _batch_function(stamp: int) -> Any:
    def run_batch(src, dst, ops, magnitudes, turns, places, fill, shape, interleaved, bits):  # type: ignore[no-untyped-def]  # noqa: PLR0913
        stages, number = ops.shape
        spare = np.empty(src.shape[1] if stages > 1 and stamp >= 0 else 0, np.uint8)
        for n in range(number):
            left = 0
            for stage in range(stages):
                left += ops[stage, n] != 0
            old, new = src[n], dst[n]
            if left == 0:
                copy(old, new)
            for stage in range(stages):
                op = ops[stage, n]
                if op == 0:
                    continue
                new = dst[n] if left % 2 else spare  # the last one writes to the result
                _apply(
                    old, new, op, magnitudes[stage, n], turns[0, stage, n], turns[1, stage, n],
                    places[stage, n], fill, shape, interleaved, bits,
                )  # fmt: skip
                old, left = new, left - 1

    return cached(run_batch)


run_batch = _batch_function(stamp_of(SOURCES))
"""Apply each image's ops, stage by stage; an image goes through all of them while in the cache.

Args:
    src: (n, bytes) uint8, C order.
    dst: likewise, the result.
    ops: (stages, n) int64.
    magnitudes: (stages, n) float32.
    turns: (2, stages, n) float64, cosine and sine of Rotate's angle.
    places: (stages, n, 2) float32.
    fill: (channels,) uint8, what Cutout paints.
    shape: channels, height, width.
    interleaved: whether a pixel's channels lie side by side.
    bits: fractional bits of the geometry.
"""
