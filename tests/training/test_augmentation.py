from __future__ import annotations

import pytest
import torch

from autodl.errors import DataError, OptionError
from autodl.training.augmentation import (
    CentreCrop,
    Compose,
    PadCropFlip,
    RandomResizedCropFlip,
    Resize,
    crop_resize,
    grey_level,
    sample_boxes,
    shift,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(n: int, size: int) -> torch.Tensor:
    images = torch.randint(0, 256, (n, size, size, 3), dtype=torch.uint8, generator=seeded(9))
    return images.permute(0, 3, 1, 2)


def gradient(n: int, size: int) -> torch.Tensor:
    ramp = torch.linspace(0, 255, size)
    image = torch.stack([ramp.expand(size, size), ramp.expand(size, size).T, ramp.flip(0).expand(size, size)])
    return image.round().to(torch.uint8).repeat(n, 1, 1, 1).contiguous(memory_format=torch.channels_last)


AUGMENTATIONS = [
    PadCropFlip(2, cutout=3),
    RandomResizedCropFlip(12),
    Compose(PadCropFlip(1), PadCropFlip(1, cutout=2)),
]


@pytest.mark.parametrize("augmentation", AUGMENTATIONS, ids=lambda a: type(a).__name__)
def test_same_seed_same_images_and_the_input_is_left_alone(augmentation):
    images = noise(6, 12)
    before = images.clone()
    first, again, other = (augmentation(images, seeded(s)) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(images, before)
    assert first.dtype == torch.uint8 and first.shape == (6, 3, 12, 12)
    assert first.is_contiguous(memory_format=torch.channels_last)


def test_no_augmentation_touches_the_global_generator():
    before = torch.random.get_rng_state()
    for augmentation in AUGMENTATIONS:
        augmentation(noise(3, 12), seeded())
    assert torch.equal(torch.random.get_rng_state(), before)


def test_shift_moves_each_image_over_its_reflection():
    images = noise(40, 6)
    padded = torch.nn.functional.pad(images.float(), (2, 2, 2, 2), mode="reflect").to(torch.uint8)
    moved = shift(images, 2, seeded())
    offsets = set()
    for image, source in zip(moved, padded, strict=True):
        places = [
            (y, x) for y in range(5) for x in range(5) if torch.equal(source[:, y : y + 6, x : x + 6], image)
        ]
        assert len(places) == 1
        offsets.add(places[0])
    assert {y for y, _ in offsets} == {x for _, x in offsets} == {0, 1, 2, 3, 4}


def test_a_shift_wider_than_the_image_still_works():
    assert shift(noise(2, 3), 7, seeded()).shape == (2, 3, 3, 3)


def test_about_half_of_the_images_are_flipped_and_the_rest_kept():
    images = noise(200, 4)
    flipped = PadCropFlip(pad=0)(images, seeded())
    kept = (flipped == images).flatten(1).all(1)
    mirrored = (flipped == images.flip(-1)).flatten(1).all(1)
    assert bool((kept | mirrored).all())
    assert 70 < int(mirrored.sum()) < 130


def test_cutout_paints_one_square_of_each_image():
    images = torch.zeros(100, 3, 8, 8, dtype=torch.uint8)
    cut = PadCropFlip(pad=0, flip=False, cutout=4, fill=77)(images, seeded())
    painted = (cut == 77).sum((1, 2, 3)) // 3
    assert int(painted.max()) == 16
    assert int(painted.min()) >= 4  # the centre lies inside, so a quarter always shows
    assert bool(((cut == 77) | (cut == 0)).all())
    assert len(set(painted.tolist())) > 3


def test_random_resized_crop_of_everything_is_a_resize():
    images = gradient(3, 16)
    whole = RandomResizedCropFlip(8, scale=(1, 1), ratio=(1, 1), flip=False)(images, seeded())
    assert torch.equal(whole, Resize(8)(images))


def test_crops_cover_what_scale_and_ratio_say():
    boxes = RandomResizedCropFlip(8, scale=(0.2, 0.6))._boxes(noise(500, 40), seeded())
    top, left, height, width = boxes.double().unbind(1)
    area = height * width / 1600
    assert 0.15 < float(area.min()) < 0.25 and 0.5 < float(area.max()) < 0.65
    assert float((width / height).min()) < 0.85 and float((width / height).max()) > 1.2
    assert bool(((top >= 0) & (left >= 0) & (top + height <= 40) & (left + width <= 40)).all())
    assert float(top.min()) == 0 and float((top + height).max()) == 40  # the borders are reached


def test_batched_sampling_agrees_with_the_native_kernel_where_nothing_shrinks():
    images = gradient(2, 32)
    boxes = torch.tensor([[4, 6, 20, 16], [0, 0, 32, 32]])
    native, batched = crop_resize(images, boxes, 32), sample_boxes(images, boxes, 32)
    # At its border the native kernel knows nothing outside the box, the batched one does.
    inner = (native.int() - batched.int())[..., 1:-1, 1:-1]
    assert int(inner.abs().max()) <= 1


def test_centre_crop_takes_the_middle_and_enlarges_what_is_too_small():
    images = noise(2, 9)
    assert torch.equal(CentreCrop(5)(images), images[..., 2:7, 2:7])
    assert CentreCrop(12)(images).shape == (2, 3, 12, 12)


def test_resize_keeps_the_right_size_as_it_is():
    images = noise(2, 9)
    assert Resize(9)(images) is images


def test_grey_level():
    assert grey_level((0.5, 0.5, 0.5)) == 128


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: PadCropFlip(pad=-1),
        lambda: PadCropFlip(fill=300),
        lambda: RandomResizedCropFlip(0),
        lambda: RandomResizedCropFlip(8, scale=(0.9, 0.1)),
        lambda: RandomResizedCropFlip(8, ratio=(0, 1)),
    ],
)
def test_wrong_options_are_refused(wrong):
    with pytest.raises(OptionError):
        wrong()


@pytest.mark.parametrize("augmentation", AUGMENTATIONS, ids=lambda a: type(a).__name__)
def test_batches_that_are_not_bytes_are_refused_and_empty_ones_are_not(augmentation):
    for images in (torch.rand(2, 3, 12, 12), noise(2, 12)[0]):
        with pytest.raises(DataError, match=r"images\[None\]"):
            augmentation(images, seeded())
    assert augmentation(noise(0, 12), seeded()).shape == (0, 3, 12, 12)
    assert augmentation(noise(1, 1), seeded()).shape[:2] == (1, 3)
