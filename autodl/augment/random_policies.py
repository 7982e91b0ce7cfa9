"""Policies without a search: RandAugment, TrivialAugment Wide, UniformAugment."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch

from autodl.augment.levels import AUTO_AUGMENT_SCALE, WIDE_SCALE, op_indices
from autodl.augment.op_table import OP_NAMES
from autodl.augment.policy_base import BatchPolicy, shares
from autodl.augment.stages import IDENTITY, Stage, draw_places
from autodl.augment.strengths import signed_magnitudes
from autodl.checks import check_whole
from autodl.errors import OptionError

RANDOM_OPS = (
    "Identity", "ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color",
    "Contrast", "Sharpness", "Posterize", "Solarize", "AutoContrast", "Equalize",
)  # fmt: skip
"""Ops of RandAugment and TrivialAugment Wide."""

UNIFORM_OPS = tuple(name for name in OP_NAMES if name != "Identity")
"""Ops of UniformAugment: those of Fast AutoAugment."""

_RANDOM = op_indices(RANDOM_OPS)
_UNIFORM = op_indices(UNIFORM_OPS)


@dataclass(frozen=True)
class RandAugment(BatchPolicy):
    """Each image gets `n` ops, drawn uniformly and with replacement, all of one magnitude.

    Magnitudes and ops are torchvision's: signs are random, Solarize's threshold falls as the level rises.

    Args:
        n: number of ops an image.
        magnitude: level of all ops, 0 (weakest) .. num_levels - 1.
        num_levels: on the scale, at least 2.

    Raises:
        OptionError: an argument is out of range.

    Example:
        >>> import torch
        >>> from autodl.augment import RandAugment
        >>> images = torch.zeros(8, 3, 32, 32, dtype=torch.uint8)
        >>> RandAugment(n=2, magnitude=9)(images, torch.Generator().manual_seed(0)).shape
        torch.Size([8, 3, 32, 32])

    Source: Cubuk et al., RandAugment: Practical Automated Data Augmentation with a Reduced Search Space,
    2020, section 3.
    """

    n: int = 2
    magnitude: int = 9
    num_levels: int = 31

    def __post_init__(self) -> None:
        check_whole("n", self.n, 0)
        check_whole("num_levels", self.num_levels, 2)
        check_whole("magnitude", self.magnitude, 0)
        if self.magnitude >= self.num_levels:
            raise OptionError(
                f"magnitude must be a level below num_levels={self.num_levels}, got {self.magnitude}"
            )

    def draw(self, number: int, size: tuple[int, int], generator: torch.Generator) -> tuple[Stage, ...]:
        """`n` ops for each image and their signs."""
        ops = _RANDOM[torch.randint(len(_RANDOM), (self.n, number), generator=generator)]
        signs = torch.randint(2, (self.n, number), generator=generator)
        magnitudes = AUTO_AUGMENT_SCALE.magnitudes(self.num_levels, *size)[signs, ops, self.magnitude]
        return tuple(map(Stage, ops, magnitudes))

    def op_weights(self) -> dict[str, float]:
        """Equal shares."""
        return shares(dict.fromkeys(RANDOM_OPS, float(self.n)))

    def to_data(self) -> dict[str, Any]:
        """The arguments."""
        return asdict(self)


@dataclass(frozen=True)
class TrivialAugmentWide(BatchPolicy):
    """Each image gets one op at one level, both drawn uniformly, from wide ranges; nothing to tune.

    The method to beat: searched policies are seldom better. Magnitudes and ops are torchvision's.

    Args:
        num_levels: on the scale, at least 2.

    Raises:
        OptionError: `num_levels` is out of range.

    Source: Müller and Hutter, TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation, 2021,
    section 3; the space Wide.
    """

    num_levels: int = 31

    def __post_init__(self) -> None:
        check_whole("num_levels", self.num_levels, 2)

    def draw(self, number: int, size: tuple[int, int], generator: torch.Generator) -> tuple[Stage, ...]:
        """One op for each image, its level and sign."""
        ops = _RANDOM[torch.randint(len(_RANDOM), (number,), generator=generator)]
        levels = torch.randint(self.num_levels, (number,), generator=generator)
        signs = torch.randint(2, (number,), generator=generator)
        return (Stage(ops, WIDE_SCALE.magnitudes(self.num_levels, *size)[signs, ops, levels]),)

    def op_weights(self) -> dict[str, float]:
        """Equal shares."""
        return shares(dict.fromkeys(RANDOM_OPS, 1.0))

    def to_data(self) -> dict[str, Any]:
        """The arguments."""
        return asdict(self)


@dataclass(frozen=True)
class UniformAugment(BatchPolicy):
    """Each image gets `n` ops; op, probability and strength are all drawn uniformly.

    Ops and ranges are Fast AutoAugment's, see `OPS`. A probability that is drawn anew for each image and
    used once is a coin: each of the `n` ops is carried out with probability 1/2.

    Args:
        n: number of ops an image, before the coins.

    Raises:
        OptionError: `n` is out of range.

    Source: LingChen et al., UniformAugment: A Search-free Probabilistic Data Augmentation Approach, 2020,
    section 3.
    """

    n: int = 2

    def __post_init__(self) -> None:
        check_whole("n", self.n, 0)

    def draw(self, number: int, size: tuple[int, int], generator: torch.Generator) -> tuple[Stage, ...]:
        """`n` times op, coin, sign, strength and Cutout's place for each image."""
        shape = (self.n, number)
        ops = _UNIFORM[torch.randint(len(_UNIFORM), shape, generator=generator)]
        coins, signs = torch.randint(2, (2, *shape), generator=generator)
        strengths = torch.rand(shape, generator=generator)
        magnitudes = signed_magnitudes(ops, strengths, signs, size)
        fired = torch.where(coins == 1, ops, IDENTITY)
        return tuple(
            Stage(op, magnitude, draw_places(number, generator))
            for op, magnitude in zip(fired, magnitudes, strict=True)
        )

    def op_weights(self) -> dict[str, float]:
        """Equal shares."""
        return shares(dict.fromkeys(UNIFORM_OPS, float(self.n)))

    def to_data(self) -> dict[str, Any]:
        """The arguments."""
        return asdict(self)
