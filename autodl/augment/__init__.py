"""Batched augmentation: ops, policies, and the search for the policy that the data needs."""

from __future__ import annotations

from autodl.augment.augmix import AugMix
from autodl.augment.auto_augment import AutoAugment
from autodl.augment.pil_adapter import ImageTransform
from autodl.augment.policy import OpStep, Policy
from autodl.augment.policy_base import BatchPolicy
from autodl.augment.policy_json import policy_from_json
from autodl.augment.random_policies import RandAugment, TrivialAugmentWide, UniformAugment

__all__ = [
    "AugMix",
    "AutoAugment",
    "BatchPolicy",
    "ImageTransform",
    "OpStep",
    "Policy",
    "RandAugment",
    "TrivialAugmentWide",
    "UniformAugment",
    "policy_from_json",
]
