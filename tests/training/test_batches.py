from __future__ import annotations

import numpy as np
import pytest
import torch

from autodl.errors import OptionError
from autodl.training.batches import PixelBatches

PIXELS = np.random.default_rng(0).integers(0, 256, (7, 4, 5, 3), dtype=np.uint8)
LABELS = np.arange(7) * 10


def test_batches_hold_the_rows_in_order():
    rows = np.array([6, 0, 3])
    (first, y1), (second, y2) = PixelBatches(PIXELS, LABELS, rows, 2)
    assert torch.equal(torch.cat([first, second]).permute(0, 2, 3, 1), torch.from_numpy(PIXELS[rows]))
    assert y1.tolist() + y2.tolist() == [60, 0, 30]
    assert first.dtype == torch.uint8 and y1.dtype == torch.int64


def test_batches_are_channels_last_without_a_copy():
    images, _ = next(iter(PixelBatches(PIXELS, LABELS, None, 3)))
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_a_memory_map_gives_the_same_batches(tmp_path):
    np.save(tmp_path / "pixels.npy", PIXELS)
    mapped = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    for (a, _), (b, _) in zip(
        PixelBatches(PIXELS, LABELS, None, 3), PixelBatches(mapped, LABELS, None, 3), strict=True
    ):
        assert torch.equal(a, b)


def test_shuffling_covers_every_row_once_in_a_new_order_each_time():
    batches = PixelBatches(PIXELS, np.arange(7), None, 4, shuffle=True)
    orders = [torch.cat([y for _, y in batches]).tolist() for _ in range(3)]
    assert all(sorted(order) == list(range(7)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3


def test_the_generator_fixes_the_order():
    def order(seed: int) -> list[int]:
        generator = torch.Generator().manual_seed(seed)
        return torch.cat(
            [y for _, y in PixelBatches(PIXELS, np.arange(7), None, 4, shuffle=True, generator=generator)]
        ).tolist()

    assert order(1) == order(1) != order(2)


@pytest.mark.parametrize(
    ("n", "size", "shuffle", "drop_last", "sizes"),
    [
        (7, 3, False, False, [3, 3, 1]),
        (7, 3, True, False, [3, 3]),  # one image alone cannot train a batch normalisation
        (7, 3, False, True, [3, 3]),
        (5, 3, True, False, [3, 2]),
        (6, 3, True, True, [3, 3]),
        (2, 3, True, True, [2]),  # the only batch stays
        (1, 3, True, False, [1]),
        (0, 3, True, False, []),
    ],
)
def test_sizes(n, size, shuffle, drop_last, sizes):
    batches = PixelBatches(PIXELS, LABELS, np.arange(n), size, shuffle=shuffle, drop_last=drop_last)
    assert [len(y) for _, y in batches] == sizes
    assert len(batches) == len(sizes)


def test_without_labels_they_are_minus_one():
    _, labels = next(iter(PixelBatches(PIXELS, None, None, 7)))
    assert labels.tolist() == [-1] * 7


@pytest.mark.parametrize(
    ("pixels", "labels", "rows", "size", "message"),
    [
        (PIXELS.astype(np.float32), LABELS, None, 2, "uint8"),
        (PIXELS[0], LABELS, None, 2, "n, h, w, c"),
        (PIXELS, LABELS[:3], None, 2, "3 labels for 7 images"),
        (PIXELS, LABELS, np.array([7]), 2, "up to 7"),
        (PIXELS, LABELS, np.array([-1, 2]), 2, r"\[0, 7\)"),
        (PIXELS, LABELS, None, 0, "batch_size"),
    ],
)
def test_wrong_arguments_are_named(pixels, labels, rows, size, message):
    with pytest.raises(OptionError, match=message):
        PixelBatches(pixels, labels, rows, size)
