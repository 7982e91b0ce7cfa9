"""Batched augmentation: ops, policies, and the search for the policy that the data needs."""

from __future__ import annotations

from autodl.augment.augmix import AugMix
from autodl.augment.auto_augment import AutoAugment
from autodl.augment.erasing import RandomErasing
from autodl.augment.folds import Split
from autodl.augment.gate import GateDecision, choose_augmentation
from autodl.augment.ops import OP_NAMES, OPS, Op, apply_ops
from autodl.augment.pil_adapter import ImageTransform
from autodl.augment.policy import OpStep, Policy
from autodl.augment.policy_base import BatchPolicy
from autodl.augment.policy_json import policy_from_json
from autodl.augment.random_policies import RandAugment, TrivialAugmentWide, UniformAugment
from autodl.augment.search import bank_search, fast_autoaugment, search_policy
from autodl.augment.search_result import PolicySearchResult
from autodl.augment.targets import augment_with_targets
from autodl.augment.theta import ThetaOptions
from autodl.training.augmentation import Augmentation, Compose, PadCropFlip, RandomResizedCropFlip
from autodl.training.mixing import BatchMixer

__all__ = [
    "OPS",
    "OP_NAMES",
    "AugMix",
    "Augmentation",
    "AutoAugment",
    "BatchMixer",
    "BatchPolicy",
    "Compose",
    "GateDecision",
    "ImageTransform",
    "Op",
    "OpStep",
    "PadCropFlip",
    "Policy",
    "PolicySearchResult",
    "RandAugment",
    "RandomErasing",
    "RandomResizedCropFlip",
    "Split",
    "ThetaOptions",
    "TrivialAugmentWide",
    "UniformAugment",
    "apply_ops",
    "augment_with_targets",
    "bank_search",
    "choose_augmentation",
    "fast_autoaugment",
    "policy_from_json",
    "search_policy",
]
