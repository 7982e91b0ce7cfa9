"""Boxes, masks and points go where the pixels go."""

from __future__ import annotations

import pytest
import torch
from torchvision.tv_tensors import BoundingBoxes, KeyPoints, Mask

from autodl.augment import AugMix, Policy, RandAugment
from autodl.augment.targets import augment_with_targets
from autodl.errors import DataError, OptionError

GEOMETRIC = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")
SIZE = (40, 48)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rectangle(top: int = 12, left: int = 16, bottom: int = 26, right: int = 34):
    """A bright rectangle on black, its box, its mask and its centre."""
    image = torch.zeros(3, *SIZE, dtype=torch.uint8)
    image[:, top:bottom, left:right] = 200
    box = BoundingBoxes([[left, top, right, bottom]], format="XYXY", canvas_size=SIZE, dtype=torch.float32)
    centre = KeyPoints([[(left + right) / 2, (top + bottom) / 2]], canvas_size=SIZE)
    return image, box, Mask(image[0] > 0), centre


@pytest.mark.parametrize("strength", [0.3, 1.0])
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("name", GEOMETRIC)
def test_targets_cover_the_moved_object(name, sign, strength):
    image, box, mask, centre = rectangle()
    policy = Policy([[(name, 1.0, strength, sign)]])
    image, box, mask, centre = augment_with_targets(policy, image, box, mask, centre, generator=seeded())
    lit = image[0] > 0
    assert isinstance(mask, Mask) and isinstance(box, BoundingBoxes)
    assert int((lit != mask).sum()) <= 0.02 * int(lit.sum())  # nearest pixels of an edge may differ
    rows, columns = lit.nonzero().T
    seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert max(abs(float(a) - float(b)) for a, b in zip(box[0], seen, strict=True)) <= 1.5
    middle = [float(columns.double().mean()) + 0.5, float(rows.double().mean()) + 0.5]
    inside = 2 < min(seen[:2]) and seen[2] < SIZE[1] - 2 and seen[3] < SIZE[0] - 2
    if inside:
        assert max(abs(float(a) - b) for a, b in zip(centre[0], middle, strict=True)) <= 1.0


@pytest.mark.parametrize("name", ["Invert", "Solarize", "Cutout", "Brightness", "Identity"])
def test_colours_leave_targets_alone(name):
    image, *targets = rectangle()
    changed, *after = augment_with_targets(Policy([[(name, 1.0, 0.9)]]), image, *targets, generator=seeded())
    assert all(torch.equal(a, b) for a, b in zip(targets, after, strict=True))
    assert torch.equal(changed, image) == (name == "Identity")


def test_several_ops_in_a_row_and_the_image_is_the_policys_own():
    image, _, mask, _ = rectangle()
    for policy in (Policy([[("Rotate", 1.0, 0.5), ("ShearX", 1.0, 0.5)]]), RandAugment(n=3)):
        for seed in range(4):
            before = image.clone()
            changed, _ = augment_with_targets(policy, image, mask, generator=seeded(seed))
            assert torch.equal(changed, policy(image, seeded(seed)))
            assert torch.equal(image, before)


def test_what_cannot_be_used_is_said():
    image, box, mask, _ = rectangle()
    policy = Policy([[("Rotate", 1.0, 0.5)]])
    with pytest.raises(OptionError, match="applies ops in a row"):
        augment_with_targets(AugMix(), image, box, generator=seeded())
    with pytest.raises(DataError, match="one image"):
        augment_with_targets(policy, image[None], box, generator=seeded())
    with pytest.raises(DataError, match=r"got Tensor: wrap it"):
        augment_with_targets(policy, image, torch.zeros(1, 4), generator=seeded())
    with pytest.raises(DataError, match=r"Mask of size \(40, 40\) does not belong to an image of \(40, 48\)"):
        augment_with_targets(policy, image, Mask(mask[:, :40]), generator=seeded())
