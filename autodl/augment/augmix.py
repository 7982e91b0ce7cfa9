"""AugMix: chains of ops, mixed with each other and with the original."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from autodl.augment.levels import AUGMIX_SCALE, op_indices
from autodl.augment.op_table import OP_NAMES
from autodl.augment.policy_base import BatchPolicy, shares
from autodl.augment.stages import IDENTITY, Stage, apply_stages
from autodl.checks import check_whole, is_whole
from autodl.errors import OptionError

AUGMIX_OPS = (
    "ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Posterize", "Solarize", "AutoContrast",
    "Equalize",
)  # fmt: skip
"""Ops of the paper: none of those that made the corruptions of its benchmark."""

ALL_OPS = (*AUGMIX_OPS, "Brightness", "Color", "Contrast", "Sharpness")

NUM_LEVELS = 10
LONGEST_CHAIN = 3
"""Ops of the longest chain where depths are drawn."""


@dataclass(frozen=True, slots=True)
class MixedStage(Stage):
    """A stage of all chains; ops and magnitudes are (width * n,), chain by chain.

    Attributes:
        shares: (width + 1, n) float32, sum 1: of the original and of each chain.
    """

    shares: Tensor | None = None


@dataclass(frozen=True)
class AugMix(BatchPolicy):
    """Each image becomes a weighted mean of itself and of several chains of random ops.

    Made for robustness against corrupted images. All chains of a batch run at once.

    Args:
        severity: levels 0 .. severity - 1 of 10 are drawn, 1..10.
        width: number of chains, at least 1.
        depth: ops a chain; -1 draws 1, 2 or 3 for each image and chain.
        alpha: of the Dirichlet and Beta distributions of the weights, above 0.
        all_ops: also Brightness, Color, Contrast and Sharpness.

    Raises:
        OptionError: an argument is out of range.

    Source: Hendrycks et al., AugMix: A Simple Data Processing Method to Improve Robustness and
    Uncertainty, 2020, algorithm 1 (without its Jensen-Shannon loss). Ops and magnitudes are torchvision's;
    departures: geometric ops resample by the nearest pixel, as the other policies do, and the mean is
    rounded instead of cut off.
    """

    severity: int = 3
    width: int = 3
    depth: int = -1
    alpha: float = 1.0
    all_ops: bool = True

    def __post_init__(self) -> None:
        check_whole("severity", self.severity, 1)
        check_whole("width", self.width, 1)
        if self.severity > NUM_LEVELS:
            raise OptionError(f"severity must be in 1..{NUM_LEVELS}, got {self.severity}")
        if not (is_whole(self.depth, 1) or (is_whole(self.depth, -1) and self.depth == -1)):
            raise OptionError(f"depth must be a whole number >= 1, or -1 to draw it, got {self.depth!r}")
        number = isinstance(self.alpha, int | float) and not isinstance(self.alpha, bool)
        if not number or not 0.0 < self.alpha < math.inf:
            raise OptionError(f"alpha must be a finite number above 0, got {self.alpha!r}")
        if not isinstance(self.all_ops, bool):
            raise OptionError(f"all_ops must be True or False, got {self.all_ops!r}")

    def draw(self, number: int, size: tuple[int, int], generator: torch.Generator) -> tuple[Stage, ...]:
        """Chains for each image, chain by chain, and their weights in the last stage."""
        known = _ALL if self.all_ops else _PAPER
        longest = self.depth if self.depth > 0 else LONGEST_CHAIN
        shape = (longest, self.width * number)
        ops = known[torch.randint(len(known), shape, generator=generator)]
        levels = torch.randint(self.severity, shape, generator=generator)
        signs = torch.randint(2, shape, generator=generator)
        magnitudes = AUGMIX_SCALE.magnitudes(NUM_LEVELS, *size)[signs, ops, levels]
        if self.depth < 0:
            depths = torch.randint(1, LONGEST_CHAIN + 1, (self.width * number,), generator=generator)
            ops = torch.where(torch.arange(longest)[:, None] < depths, ops, IDENTITY)
        weights = self._weights(number, generator)
        return tuple(MixedStage(op, at, None, weights) for op, at in zip(ops, magnitudes, strict=True))

    def _weights(self, number: int, generator: torch.Generator) -> Tensor:
        # Beta(a, a) is the Dirichlet distribution of two; float64, as small alphas underflow.
        def dirichlet(parts: int) -> Tensor:
            alphas = torch.full((number, parts), float(self.alpha), dtype=torch.float64)
            return torch._sample_dirichlet(alphas, generator=generator).T

        original, changed = dirichlet(2)
        return torch.cat([original[None], changed * dirichlet(self.width)]).float()

    def carry_out(self, images: Tensor, stages: tuple[Stage, ...], *, backend: str = "auto") -> Tensor:
        """Run all chains as one batch, then mix."""
        mixed = stages[0]
        assert isinstance(mixed, MixedStage) and mixed.shares is not None
        shares_ = mixed.shares.to(images.device)[..., None, None, None]
        chains = apply_stages(torch.cat([images] * self.width), stages, backend=backend)
        result = images * shares_[0]
        for chain, share in zip(chains.view(self.width, *images.shape), shares_[1:], strict=True):
            result.addcmul_(chain, share)
        return result.round_().clamp_(0, 255).to(torch.uint8)

    def captions(self, stages: tuple[Stage, ...], number: int) -> list[str]:
        """For each image its chains and their shares: ``"58% original + 31% Rotate→Equalize + ..."``."""
        mixed = stages[0]
        assert isinstance(mixed, MixedStage) and mixed.shares is not None
        percent = [[f"{share:.0%}" for share in row] for row in mixed.shares.T.tolist()]
        names = [[OP_NAMES[op] for op in chain if op != IDENTITY] for chain in self._chains(stages)]
        return [
            " + ".join(
                [f"{row[0]} original"]
                + [f"{row[1 + i]} {'→'.join(names[i * number + image])}" for i in range(self.width)]
            )
            for image, row in enumerate(percent)
        ]

    def _chains(self, stages: tuple[Stage, ...]) -> list[list[int]]:
        chains: list[list[int]] = torch.stack([stage.ops for stage in stages], dim=1).tolist()
        return chains

    def op_weights(self) -> dict[str, float]:
        """Equal shares."""
        return shares(dict.fromkeys(ALL_OPS if self.all_ops else AUGMIX_OPS, 1.0))

    def to_data(self) -> dict[str, Any]:
        """The arguments."""
        return asdict(self)


_ALL = op_indices(ALL_OPS)
_PAPER = op_indices(AUGMIX_OPS)
