import io

import numpy as np
import pytest
from PIL import Image

from autodl.errors import OptionError
from autodl.report.content import Confusion, Table, thumbnail


def opened(file: bytes) -> Image.Image:
    return Image.open(io.BytesIO(file))


def test_small_images_grow_by_a_whole_factor_and_keep_their_pixels():
    pixels = np.random.default_rng(0).integers(0, 255, (8, 6), dtype=np.uint8)
    shown = np.asarray(opened(thumbnail(pixels, size=80)))
    assert shown.shape == (80, 60)
    assert (shown[::10, ::10] == pixels).all()


def test_large_images_shrink_in_proportion():
    shown = opened(thumbnail(np.zeros((300, 600, 3), dtype=np.uint8), size=100))
    assert shown.size == (100, 50)
    assert shown.format == "JPEG"


def test_one_channel_is_grey():
    assert opened(thumbnail(np.zeros((28, 28, 1), dtype=np.uint8))).mode == "L"


def test_ragged_tables_are_refused():
    with pytest.raises(OptionError, match="row 1 has 1 cells for 2 columns"):
        Table(("a", "b"), ((1, 2), (1,)))
    with pytest.raises(OptionError, match="2 classes"):
        Confusion(("a", "b"), ((1, 2), (1,)))
