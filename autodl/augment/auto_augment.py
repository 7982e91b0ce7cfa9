"""AutoAugment's published policies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from autodl.augment.auto_augment_tables import TABLES
from autodl.augment.levels import AUTO_AUGMENT_SCALE
from autodl.augment.op_table import OP_INDEX
from autodl.augment.policy_base import BatchPolicy, shares
from autodl.augment.stages import IDENTITY, Stage
from autodl.errors import UnknownNameError

NUM_LEVELS = 10


@dataclass(frozen=True)
class AutoAugment(BatchPolicy):
    """A published policy: each image draws one of 25 pairs of ops, each carried out with its probability.

    Magnitudes are torchvision's. They cost 5,000 (CIFAR-10) to 15,000 (ImageNet) GPU hours to find.

    Args:
        policy: ``"cifar10"``, ``"imagenet"`` or ``"svhn"``, the data on which it was found.

    Raises:
        UnknownNameError: there is no such policy.

    Source: Cubuk et al., AutoAugment: Learning Augmentation Policies from Data, 2019, appendix.
    """

    policy: str = "imagenet"

    def __post_init__(self) -> None:
        if not isinstance(self.policy, str) or self.policy not in TABLES:
            raise UnknownNameError("AutoAugment policy", self.policy, tuple(TABLES))

    def draw(self, number: int, size: tuple[int, int], generator: torch.Generator) -> tuple[Stage, ...]:
        """A pair for each image, which of its ops are carried out, and their signs."""
        pair_ops, probabilities, pair_levels = _TENSORS[self.policy]
        chosen = torch.randint(len(pair_ops), (number,), generator=generator)
        fires = torch.rand(2, number, generator=generator) < probabilities[chosen].T
        signs = torch.randint(2, (2, number), generator=generator)
        ops, levels = pair_ops[chosen].T, pair_levels[chosen].T
        magnitudes = AUTO_AUGMENT_SCALE.magnitudes(NUM_LEVELS, *size)[signs, ops, levels]
        return tuple(map(Stage, torch.where(fires, ops, IDENTITY), magnitudes))

    def op_weights(self) -> dict[str, float]:
        """Each op's share of the ops that are carried out, largest first."""
        amounts: dict[str, float] = {}
        for pair in TABLES[self.policy]:
            for op, probability, _ in pair:
                amounts[op] = amounts.get(op, 0.0) + probability
        return shares(amounts)

    def to_data(self) -> dict[str, Any]:
        """The argument."""
        return {"policy": self.policy}


_TENSORS = {
    name: (
        torch.tensor([[OP_INDEX[op] for op, _, _ in pair] for pair in pairs]),
        torch.tensor([[probability for _, probability, _ in pair] for pair in pairs]),
        torch.tensor([[level for _, _, level in pair] for pair in pairs]),
    )
    for name, pairs in TABLES.items()
}
"""Ops, probabilities and levels, each (25, 2)."""
