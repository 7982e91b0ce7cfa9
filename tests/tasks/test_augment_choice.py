"""What `augment=` may be, and what a training does with it."""

from __future__ import annotations

import pytest
import torch

import autodl as ad
from autodl.augment import AugMix, AutoAugment, Policy, RandAugment, TrivialAugmentWide, UniformAugment
from autodl.errors import OptionError, UnknownNameError
from autodl.tasks.augment_choice import (
    AUGMENTATIONS,
    POLICIES,
    base_augmentation,
    check_augment,
    make_augmentation,
    mirrors,
    named_policy,
)
from autodl.training import Compose, PadCropFlip, RandomResizedCropFlip

INVERT = Policy([[("Invert", 1.0, 0.0)]])
BASE = PadCropFlip(pad=1)


def own(images, generator):
    return images


def test_pictures_that_are_cached_larger_are_cropped_others_are_shifted():
    assert base_augmentation(24, 32, flip=True) == RandomResizedCropFlip(24)
    assert base_augmentation(32, 32, flip=False, cutout=0.25) == PadCropFlip(pad=4, cutout=8, flip=False)
    assert base_augmentation(4, 4, flip=True) == PadCropFlip(pad=1)


def test_every_name_is_an_augmentation_of_the_size_that_the_network_sees():
    images = torch.randint(0, 256, (4, 3, 10, 10), dtype=torch.uint8)
    base = base_augmentation(8, 10, flip=True)
    assert make_augmentation("none", base, 10) is None
    for name in AUGMENTATIONS:
        if name != "none":
            changed = make_augmentation(name, base, 10, INVERT)(images, torch.Generator())
            assert changed.shape == (4, 3, 8, 8) and changed.dtype == torch.uint8


def test_names_of_policies():
    kinds = (TrivialAugmentWide, RandAugment, UniformAugment, AutoAugment, AugMix)
    assert [type(named_policy(name, 32)) for name in POLICIES] == list(kinds)
    assert named_policy("auto_augment", 32) == AutoAugment("cifar10")
    assert named_policy("auto_augment", 256) == AutoAugment("imagenet")
    assert named_policy("fast_aa", 32, INVERT) is INVERT
    assert named_policy("standard", 32, INVERT) is None


@pytest.mark.parametrize("augment", ["fast_aa", INVERT], ids=["found", "given"])
def test_a_policy_comes_before_crops_and_mirror_images(augment):
    augmentation = make_augmentation(augment, BASE, 8, found=INVERT)
    assert isinstance(augmentation, Compose) and augmentation.steps == (INVERT, BASE)
    images = torch.full((2, 3, 8, 8), 10, dtype=torch.uint8)
    assert bool((augmentation(images, torch.Generator()) == 245).all())


def test_a_search_that_found_nothing_adds_nothing():
    assert make_augmentation("fast_aa", BASE, 8, found=None) is BASE


def test_ones_own_augmentation_is_taken_as_it_is():
    assert make_augmentation(own, BASE, 8) is own
    assert make_augmentation(None, BASE, 8) is None


def test_what_mirrors_images():
    assert [name for name in AUGMENTATIONS if not mirrors(name)] == ["none", "crop"]
    assert mirrors(INVERT) and mirrors(RandAugment())
    assert not mirrors(own) and not mirrors(None)


def test_what_can_be_used():
    for good in ("auto", *AUGMENTATIONS, None, INVERT, own, ad.Categorical("crop", INVERT)):
        check_augment(good)
    with pytest.raises(UnknownNameError, match=r"unknown augment 'trivail'; known: auto, none, .*fast_aa"):
        check_augment("trivail")
    with pytest.raises(OptionError, match="a name, a Policy or a callable"):
        check_augment(3)
    with pytest.raises(OptionError, match="unknown augment 'flips'; known: none, crop"):
        make_augmentation("flips", BASE, 8)
