"""What is black and what is white."""

from __future__ import annotations

import numpy as np
import pytest

from autodl.data.scaling import guess_range, to_uint8
from autodl.errors import DataError


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([3], np.uint8), (0, 255)),
        (np.array([True]), (0, 1)),
        (np.array([0.0, 0.3]), (0, 1)),
        (np.array([0.0, 16.0]), (0, 16)),  # scikit-learn's digits
        (np.array([0.0, 200.0]), (0, 255)),
        (np.array([0, 300], np.int32), (0, 4095)),
        (np.array([0, 5000], np.uint16), (0, 65535)),
        (np.array([0.0, 1e6]), (0, 1e6)),
        (np.array([-1.0, 0.5]), (-1, 1)),
        (np.array([-3.0, 2.0]), (-3, 2)),
        (np.array([-2.0, -2.0]), (-2, -1)),
        (np.array([np.nan, 0.5, np.inf]), (0, 1)),
    ],
)
def test_the_rule(array, expected):
    assert guess_range(array) == expected


def test_dark_16_bit_files_are_not_taken_for_digits():
    assert guess_range(np.array([0, 12], np.uint16), small_scales=False) == (0, 255)


@pytest.mark.parametrize("array", [np.array([]), np.array(["a"]), np.array([np.nan]), np.array([1j])])
def test_no_pixels(array):
    with pytest.raises(DataError, match="pixels must be"):
        guess_range(array)


def test_the_range_becomes_0_to_255_and_the_rest_is_clipped():
    scaled = to_uint8(np.array([-1.0, 0.0, 0.5, 1.0, 2.0]), (0.0, 1.0))
    assert scaled.dtype == np.uint8
    assert scaled.tolist() == [0, 0, 128, 255, 255]


def test_uint8_is_not_copied():
    pixels = np.arange(9, dtype=np.uint8)
    assert to_uint8(pixels, (0.0, 255.0)) is pixels
