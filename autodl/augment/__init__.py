"""Batched augmentation: ops, policies, and the search for the policy that the data needs."""

from __future__ import annotations

from autodl.augment.augmix import AugMix
from autodl.augment.auto_augment import AutoAugment
from autodl.augment.folds import Split
from autodl.augment.gate import GateDecision, choose_augmentation
from autodl.augment.pil_adapter import ImageTransform
from autodl.augment.policy import OpStep, Policy
from autodl.augment.policy_base import BatchPolicy
from autodl.augment.policy_json import policy_from_json
from autodl.augment.random_policies import RandAugment, TrivialAugmentWide, UniformAugment
from autodl.augment.search import bank_search, fast_autoaugment, search_policy
from autodl.augment.search_result import PolicySearchResult
from autodl.augment.theta import ThetaOptions

__all__ = [
    "AugMix",
    "AutoAugment",
    "BatchPolicy",
    "GateDecision",
    "ImageTransform",
    "OpStep",
    "Policy",
    "PolicySearchResult",
    "RandAugment",
    "Split",
    "ThetaOptions",
    "TrivialAugmentWide",
    "UniformAugment",
    "bank_search",
    "choose_augmentation",
    "fast_autoaugment",
    "policy_from_json",
    "search_policy",
]
