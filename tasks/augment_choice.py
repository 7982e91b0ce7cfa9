"""What ``augment=`` may be, and the augmentation that a config's value stands for."""

from __future__ import annotations

from typing import Any

from autodl.augment import (
    AugMix,
    AutoAugment,
    BatchPolicy,
    Policy,
    RandAugment,
    TrivialAugmentWide,
    UniformAugment,
)
from autodl.errors import OptionError, UnknownNameError
from autodl.spaces.nested import holds_space
from autodl.training import Augmentation, Compose, PadCropFlip, RandomResizedCropFlip

BASES = ("none", "crop", "standard")
"""Without a policy: nothing at all, shifts or crops, these and mirror images."""

POLICIES = ("trivial", "rand", "uniform", "auto_augment", "augmix")
"""Policies that need no search; each is followed by "standard"."""

FOUND = "fast_aa"
"""The policy that is searched for the data of the run."""

AUTO = "auto"

AUGMENTATIONS = (*BASES, *POLICIES, FOUND)
"""Names that a config may hold."""

SMALL_SIDE = 64
"""Up to this side, pixels, AutoAugment's policy is that for CIFAR-10, above that for ImageNet."""


def check_augment(augment: Any) -> None:
    """Refuse what `fit` cannot use.

    Raises:
        UnknownNameError: no such augmentation.
        OptionError: neither a name nor an augmentation.
    """
    if isinstance(augment, str):
        if augment not in (AUTO, *AUGMENTATIONS):
            raise UnknownNameError("augment", augment, (AUTO, *AUGMENTATIONS))
    elif not (augment is None or callable(augment) or holds_space(augment)):
        raise OptionError(
            f"augment takes a name, a Policy or a callable (images, generator), got {augment!r:.80}"
        )


def named_policy(name: str, side: int, found: Policy | None = None) -> BatchPolicy | None:
    """The policy of a name; None for names that have none.

    Args:
        name: one of `AUGMENTATIONS`.
        side: of the images, pixels.
        found: the run's own policy; None: a search that found nothing, so nothing is added.
    """
    if name == "trivial":
        return TrivialAugmentWide()
    if name == "rand":
        return RandAugment()
    if name == "uniform":
        return UniformAugment()
    if name == "augmix":
        return AugMix()
    if name == "auto_augment":
        return AutoAugment("cifar10" if side <= SMALL_SIDE else "imagenet")
    return found if name == FOUND else None


def make_augmentation(
    augment: Any, base: Augmentation, side: int, found: Policy | None = None
) -> Augmentation | None:
    """The augmentation of a training.

    Args:
        augment: a name of `AUGMENTATIONS`, a policy, any other augmentation, or None.
        base: crops and mirror images; they follow every policy.
        side: of the images as they are kept, pixels.
        found: the run's own policy.

    Raises:
        OptionError: no such name.
    """
    if isinstance(augment, str):
        if augment == "none":
            return None
        if augment not in AUGMENTATIONS:
            raise OptionError(f"unknown augment {augment!r}; known: {', '.join(AUGMENTATIONS)}")
        policy = named_policy(augment, side, found)
        return base if policy is None else Compose(policy, base)
    if isinstance(augment, BatchPolicy):
        return Compose(augment, base)
    return augment  # type: ignore[no-any-return]  # the caller's own, or None


def base_augmentation(input_size: int, cache_size: int, *, flip: bool, cutout: float = 0.0) -> Augmentation:
    """Shifts or crops, mirror images and a square cut out.

    Args:
        input_size: side that the network sees, pixels.
        cache_size: side of the images as they are kept; larger ones are cropped, others shifted.
        flip: whether a mirrored image keeps its class.
        cutout: part of the side that a grey square covers, in [0, 1).
    """
    if cache_size > input_size:
        return RandomResizedCropFlip(input_size, flip=flip)
    return PadCropFlip(pad=max(1, input_size // 8), cutout=round(cutout * input_size), flip=flip)


def mirrors(augment: Any) -> bool:
    """Whether images are mirrored where that keeps their class."""
    if isinstance(augment, str):
        return augment not in ("none", "crop")
    return isinstance(augment, BatchPolicy)
