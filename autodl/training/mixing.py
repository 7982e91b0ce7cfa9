"""MixUp and CutMix on normalised batches."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from autodl.errors import OptionError


@dataclass(frozen=True, slots=True)
class Mixed:
    """A batch whose loss is ``share * loss(labels) + (1 - share) * loss(others)``.

    Args:
        images: (b, c, h, w) floats.
        labels: (b,) int64.
        others: (b,) int64, the labels of what was mixed in.
        share: 0..1, what is left of the image itself.
    """

    images: Tensor
    labels: Tensor
    others: Tensor
    share: float

    def part(self, start: int, stop: int) -> Mixed:
        """The images from `start` up to `stop`."""
        rows = slice(start, stop)
        return Mixed(self.images[rows], self.labels[rows], self.others[rows], self.share)


class BatchMixer:
    """Mixes each image with another of its batch; one share a batch.

    With both strengths above 0 a coin is thrown for each batch.

    Args:
        mixup: alpha of the Beta distribution of the share (Zhang et al., mixup: Beyond Empirical
            Risk Minimization, 2018); 0 for none.
        cutmix: likewise (Yun et al., CutMix, 2019); 0 for none.

    Raises:
        OptionError: a strength is negative or not finite.
    """

    def __init__(self, mixup: float, cutmix: float) -> None:
        if not (0 <= mixup < math.inf and 0 <= cutmix < math.inf):
            raise OptionError(f"mixup and cutmix must be finite and >= 0, got {mixup} and {cutmix}")
        self.mixup, self.cutmix = mixup, cutmix

    def __bool__(self) -> bool:
        return self.mixup > 0 or self.cutmix > 0

    def __call__(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Mixed:
        """Mix a batch; ``generator`` lives on the CPU. With both strengths 0 images stay as they are."""
        if not self:
            return Mixed(images, labels, labels, 1.0)
        cut = self.cutmix > 0 and (self.mixup <= 0 or bool(torch.rand((), generator=generator) < 0.5))
        share = _beta(self.cutmix if cut else self.mixup, generator)
        partner = torch.randperm(len(images), generator=generator).to(images.device)
        if cut:
            images, share = _paste(images, images[partner], share, generator)
        else:
            images = torch.lerp(images[partner], images, share)
        return Mixed(images, labels, labels[partner], share)


def _beta(alpha: float, generator: torch.Generator) -> float:
    """One draw of Beta(alpha, alpha), from two gamma draws."""
    concentration = torch.full((2,), alpha, dtype=torch.float64)
    gammas = torch._standard_gamma(concentration, generator=generator)
    total = float(gammas.sum())
    return float(gammas[0]) / total if total > 0 else 0.5


def _paste(images: Tensor, others: Tensor, share: float, generator: torch.Generator) -> tuple[Tensor, float]:
    """Paste one box of ``others``, about 1 - share of the area; gives the exact share left."""
    height, width = images.shape[-2:]
    side = (1 - share) ** 0.5
    centre = torch.rand(2, generator=generator, dtype=torch.float64)
    top, bottom = _span(float(centre[0]), side, height)
    left, right = _span(float(centre[1]), side, width)
    pasted = images.clone()
    pasted[..., top:bottom, left:right] = others[..., top:bottom, left:right]
    return pasted, 1 - (bottom - top) * (right - left) / (height * width)


def _span(centre: float, side: float, length: int) -> tuple[int, int]:
    start = round((centre - side / 2) * length)
    return max(0, start), min(length, start + round(side * length))
