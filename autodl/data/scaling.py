"""From arrays of numbers to uint8 pixels: what is black, what is white.

One rule, in `guess_range`, decides for a whole array; the range it finds is kept with the table
(`ImageTable.pixel_range`), so that test data is scaled exactly as the training data was.
"""

from __future__ import annotations

import numpy as np

from autodl.errors import DataError

_FULL_SCALES = (255.0, 4095.0, 65535.0)  # 8, 12 and 16 bits


def guess_range(array: np.ndarray, *, small_scales: bool = True) -> tuple[float, float]:
    """The values that stand for black and white.

    - uint8: 0 and 255; bool: 0 and 1.
    - otherwise, nothing below 0: white is 1 if nothing exceeds it (for floats, or integers that
      are only 0 and 1); the largest value if that is at most 16 (scikit-learn's digits); else the
      next of 255 (8 bits), 4095 (12) and 65535 (16), or the largest value.
    - within [-1, 1]: -1 and 1.
    - anything else (standardised data): the smallest and largest value.

    Args:
        array: pixels, any shape.
        small_scales: whether a largest value of at most 16 is white; for files it is not, where
            a dark 16-bit image is likelier.

    Raises:
        DataError: the array is empty, not numeric, or has no finite value.
    """
    if array.dtype == np.uint8:
        return 0.0, 255.0
    if array.dtype == np.bool_:
        return 0.0, 1.0
    if array.size == 0 or array.dtype.kind not in "iuf":
        raise DataError(f"pixels must be numbers, got an array of dtype {array.dtype}, shape {array.shape}")
    low, high = float(array.min()), float(array.max())
    if not np.isfinite(low + high):
        finite = array[np.isfinite(array)]
        if finite.size == 0:
            raise DataError("pixels must be finite numbers, but every one is NaN or infinite")
        low, high = float(finite.min()), float(finite.max())
    return _nominal_range(low, high, small_scales)


def _nominal_range(low: float, high: float, small_scales: bool) -> tuple[float, float]:
    if low >= 0:
        if high <= 1:
            return 0.0, 1.0
        if high <= 16 and small_scales:
            return 0.0, high
        return 0.0, next((scale for scale in _FULL_SCALES if high <= scale), high)
    if low >= -1 and high <= 1:
        return -1.0, 1.0
    return low, high if high > low else low + 1.0


def to_uint8(array: np.ndarray, pixel_range: tuple[float, float]) -> np.ndarray:
    """Scale linearly so that the range becomes 0..255; values outside are clipped.

    Args:
        array: pixels of any shape, finite.
        pixel_range: the values that become 0 and 255.
    """
    low, high = pixel_range
    if array.dtype == np.uint8 and (low, high) == (0.0, 255.0):
        return array
    scaled = (array.astype(np.float32) - np.float32(low)) * np.float32(255.0 / (high - low))
    pixels: np.ndarray = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return pixels
