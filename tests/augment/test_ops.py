"""Every op against torchvision's functional calls on tensors, and the backends against each other."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import InterpolationMode, v2

from autodl.augment.backends import run_steps
from autodl.augment.ops import CUTOUT_FILL, OP_INDEX, OP_NAMES, OPS, apply_ops, checked_step
from autodl.errors import OptionError, UnknownNameError

RANGES = {
    "ShearX": (-1, 1), "ShearY": (-1, 1), "TranslateX": (-20, 20), "TranslateY": (-20, 20),
    "Rotate": (-180, 180), "Solarize": (0, 257), "Posterize": (0, 8.9), "Cutout": (0, 20),
}  # fmt: skip
FACTORS = ("Brightness", "Color", "Contrast", "Sharpness")
SIZES = [(3, 32, 32), (3, 33, 47), (1, 28, 28), (3, 1, 1), (1, 1, 1), (3, 2, 5), (3, 3, 3), (1, 1, 7)]
TORCHVISION = v2.RandAugment()


def batch(number, shape, seed, interleaved=False):
    images = torch.randint(
        256, (number, *shape), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8
    )
    images[0] = 7
    return images.contiguous(memory_format=torch.channels_last) if interleaved else images


def magnitudes(name, number, seed):
    low, high = RANGES.get(name, (0, 2))
    return low + (high - low) * torch.rand(number, generator=torch.Generator().manual_seed(seed))


def torchvision_op(image, name, magnitude):
    if name == "Solarize" and magnitude > 255:
        return image
    value = {"Solarize": magnitude / 255, "Posterize": int(magnitude)}.get(name, magnitude)
    value = value - 1 if name in FACTORS else value
    return TORCHVISION._apply_image_or_video_transform(
        image, name, value, InterpolationMode.NEAREST, TORCHVISION._fill
    )


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("name", [name for name in OP_NAMES if name != "Cutout"])
def test_within_one_level_of_torchvision(name, interleaved):
    for seed, shape in enumerate(SIZES):
        images, values = batch(24, shape, seed, interleaved), magnitudes(name, 24, seed)
        ours = apply_ops(images, torch.full((24,), OP_INDEX[name]), values, backend="torch")
        theirs = torch.stack(
            [torchvision_op(image, name, float(m)) for image, m in zip(images, values, strict=True)]
        )
        far = (ours.int() - theirs.int()).abs() > 1
        if name == "Rotate":
            far &= ~near_tie(values, *shape[1:])[:, None]
        assert not far.any(), (shape, int(far.sum()))


def near_tie(degrees, height, width):
    """(n, h, w) pixels whose exact source lies within 1e-3 of halfway between two pixels.

    torchvision computes sources in float32, so that those may fall either way.
    """
    angle = (degrees.double() * math.pi / 180)[:, None, None]
    y = torch.arange(height, dtype=torch.float64)[:, None] - (height - 1) / 2
    x = torch.arange(width, dtype=torch.float64) - (width - 1) / 2
    at_x = x * angle.cos() - y * angle.sin() + (width - 1) / 2
    at_y = x * angle.sin() + y * angle.cos() + (height - 1) / 2
    return ((at_x % 1 - 0.5).abs() < 1e-3) | ((at_y % 1 - 0.5).abs() < 1e-3)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([1, 3]), st.integers(1, 20), st.integers(1, 20), st.booleans(), st.integers(0, 10**6))
def test_compiled_ops_give_the_bytes_of_torch(channels, height, width, interleaved, seed):
    pytest.importorskip("numba")
    number = 3 * len(OP_NAMES)
    images = batch(number, (channels, height, width), seed, interleaved)
    ops = torch.arange(number) % len(OP_NAMES)
    values = torch.stack([magnitudes(OP_NAMES[int(op)], 1, seed + i)[0] for i, op in enumerate(ops)])
    places = torch.rand(number, 2, generator=torch.Generator().manual_seed(seed))
    first, second = (
        apply_ops(images, ops, values, places=places, backend=name) for name in ("torch", "numba")
    )
    assert torch.equal(first, second)
    assert first.stride() == second.stride() == torch.empty_like(images).stride()


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("shape", [(3, 96, 80), (1, 96, 80)])
def test_image_by_image_differs_in_few_pixels_that_move(shape, interleaved):
    images = batch(32, shape, 0, interleaved)
    for name in OP_NAMES:
        ops, values = torch.full((32,), OP_INDEX[name]), magnitudes(name, 32, 1)
        one, other = (apply_ops(images, ops, values, backend=which) for which in ("torch", "pil"))
        far = ((one.int() - other.int()).abs() > 1).float().mean()
        assert far <= (1e-3 if name in ("ShearX", "ShearY", "Rotate") else 0), name


@pytest.mark.parametrize("name", [name for name in OP_NAMES if OPS[name].has_level])
def test_strength_nought_does_nothing(name):
    images, op = batch(4, (3, 17, 23), 3), OPS[name]
    values = op.magnitude(torch.zeros(4), torch.tensor([-1.0, 1.0, -1.0, 1.0]), 17)
    assert torch.equal(apply_ops(images, torch.full((4,), OP_INDEX[name]), values), images)


def test_views_are_taken_and_not_written_to():
    whole = batch(8, (3, 20, 20), 0)
    view = whole[:, :, 2:-3, 1:-4].flip(0)[::2].transpose(2, 3)
    before, ops = view.clone(), torch.arange(4) + 5
    values = torch.full((4,), 0.5)
    assert torch.equal(apply_ops(view, ops, values), apply_ops(view.contiguous(), ops, values))
    assert torch.equal(view, before)


def test_wrong_arguments_are_named():
    images, ops, values = batch(2, (3, 8, 8), 0), torch.zeros(2, dtype=torch.int64), torch.zeros(2)
    with pytest.raises(OptionError, match="alpha channel"):
        apply_ops(torch.zeros(2, 4, 8, 8, dtype=torch.uint8), ops, values)
    with pytest.raises(OptionError, match="ops must be"):
        apply_ops(images, ops[:1], values)
    with pytest.raises(OptionError, match=r"0\.\.15"):
        apply_ops(images, ops + 16, values)
    with pytest.raises(UnknownNameError, match="known: auto"):
        apply_ops(images, ops, values, backend="cuda")


@pytest.mark.parametrize("backend", ["torch", "numba", "pil"])
@pytest.mark.parametrize("interleaved", [False, True])
def test_several_steps_at_once_are_one_after_the_other(backend, interleaved):
    if backend == "numba":
        pytest.importorskip("numba")
    images, generator = batch(24, (3, 41, 37), 0, interleaved), torch.Generator().manual_seed(1)
    before = images.clone()
    for count in (1, 2, 3, 4):
        ops = torch.randint(len(OP_NAMES), (count, 24), generator=generator)
        ops[torch.rand(count, 24, generator=generator) < 0.4] = OP_INDEX["Identity"]
        values = torch.stack(
            [torch.stack([magnitudes(OP_NAMES[op], 1, op)[0] for op in row]) for row in ops.tolist()]
        )
        places = torch.rand(count, 24, 2, generator=generator)
        steps = [checked_step(24, *step) for step in zip(ops, values, places, strict=True)]
        expected = images
        for step in steps:
            expected = run_steps(expected, [step], backend)
        assert torch.equal(run_steps(images, steps, backend), expected)
        assert torch.equal(images, before)


class OnDevice(torch.Tensor):
    """A tensor that says it is elsewhere until it is fetched."""

    device = torch.device("meta")

    def cpu(self):
        return self.as_subclass(torch.Tensor)


@pytest.mark.parametrize("backend", ["torch", "pil"])
def test_indices_from_a_device_are_checked_too(backend):
    ops = torch.tensor([0, -1]).as_subclass(OnDevice)
    with pytest.raises(OptionError, match=r"0\.\.15"):
        apply_ops(batch(2, (3, 8, 8), 0), ops, torch.zeros(2), backend=backend)


@pytest.mark.parametrize("backend", ["torch", "numba", "pil"])
@pytest.mark.parametrize(
    ("side", "place", "rows", "columns"),
    [
        (3, (0.5, 0.5), (3, 6), (4, 7)),
        (4, (0.5, 0.5), (2, 6), (3, 7)),
        (3.9, (0.0, 0.999), (0, 2), (9, 11)),  # cut to 3 pixels, and off at the corner
        (1, (0.0, 0.0), (0, 1), (0, 1)),
        (40, (0.3, 0.9), (0, 9), (0, 11)),
    ],
)
def test_cutout_paints_a_square_about_its_place(backend, side, place, rows, columns):
    if backend == "numba":
        pytest.importorskip("numba")
    for channels, fill in CUTOUT_FILL.items():
        images = torch.zeros(1, channels, 9, 11, dtype=torch.uint8)
        expected = images.clone()
        expected[:, :, slice(*rows), slice(*columns)] = torch.tensor(fill, dtype=torch.uint8)[:, None, None]
        op, sides = torch.tensor([OP_INDEX["Cutout"]]), torch.tensor([float(side)])
        assert torch.equal(
            apply_ops(images, op, sides, places=torch.tensor([place]), backend=backend), expected
        )


@pytest.mark.parametrize("backend", ["torch", "numba", "pil"])
@pytest.mark.parametrize("shape", [(0, 3, 8, 8), (2, 1, 0, 8)])
def test_no_images_and_no_pixels_come_back_as_they_are(backend, shape):
    if backend == "numba":
        pytest.importorskip("numba")
    images = torch.zeros(shape, dtype=torch.uint8)
    ops = torch.full((shape[0],), OP_INDEX["Rotate"])
    assert apply_ops(images, ops, torch.zeros(shape[0]), backend=backend).shape == shape
