"""Images and policies that the tests of policies share."""

from __future__ import annotations

import torch
from torch import Tensor

from autodl.augment.augmix import AugMix
from autodl.augment.auto_augment import AutoAugment
from autodl.augment.policy import OpStep, Policy
from autodl.augment.policy_base import BatchPolicy
from autodl.augment.random_policies import RandAugment, TrivialAugmentWide, UniformAugment

POLICIES: list[BatchPolicy] = [
    RandAugment(),
    TrivialAugmentWide(),
    UniformAugment(),
    AutoAugment("cifar10"),
    AutoAugment("svhn"),
    AutoAugment("imagenet"),
    AugMix(),
    AugMix(severity=9, width=2, depth=2, alpha=0.1, all_ops=False),
    Policy(
        [
            [("Rotate", 0.8, 0.5), OpStep("Brightness", 1.0, 0.7, -1)],
            [("Cutout", 1.0, 0.7), ("Invert", 0.5, 0.0), ("ShearX", 1.0, 1.0)],
            [],
        ],
        weights=[2, 1, 0.5],
    ),
]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(n: int = 16, height: int = 12, width: int = 17, channels: int = 3) -> Tensor:
    shape = (n, channels, height, width)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=seeded(9))


def name_of(policy: BatchPolicy) -> str:
    return repr(policy).split("\n")[0].replace(" ", "")[:40]
