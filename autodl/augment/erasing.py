"""Random erasing: a rectangle of each image gives way to noise or grey."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from autodl.errors import OptionError
from autodl.training.augmentation import check_pixels


@dataclass(frozen=True, slots=True)
class RandomErasing:
    """Paint one rectangle into each image with a probability; an `autodl.training.Augmentation`.

    Args:
        probability: that an image is changed, 0..1.
        area: smallest and largest share of the image's area.
        ratio: smallest and largest height : width.
        fill: a grey level 0..255, or "noise": uniform levels for each pixel and channel.

    Raises:
        OptionError: a range is empty or out of bounds.

    Source: Zhong et al., Random Erasing Data Augmentation, 2020, algorithm 1; a rectangle that does
    not fit is clipped to the image instead of drawn again.
    """

    probability: float = 0.5
    area: tuple[float, float] = (0.02, 0.33)
    ratio: tuple[float, float] = (0.3, 3.3)
    fill: int | Literal["noise"] = "noise"

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1 or not 0 < self.area[0] <= self.area[1] <= 1:
            raise OptionError(f"probability must be in 0..1 and 0 < area[0] <= area[1] <= 1, got {self}")
        if not 0 < self.ratio[0] <= self.ratio[1] < math.inf:
            raise OptionError(f"0 < ratio[0] <= ratio[1] must hold, got {self}")
        if self.fill != "noise" and not (isinstance(self.fill, int) and 0 <= self.fill <= 255):
            raise OptionError(f'fill must be "noise" or a grey level 0..255, got {self.fill!r}')

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Erase in a (b, c, h, w) uint8 batch, which is not written to."""
        check_pixels(images)
        number, channels, height, width = images.shape
        draws = torch.rand(5, number, generator=generator, dtype=torch.float64)
        area = (self.area[0] + draws[0] * (self.area[1] - self.area[0])) * height * width
        low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
        root_ratio = (0.5 * (low + draws[1] * (high - low))).exp()
        tall = (area.sqrt() * root_ratio).round().clamp(1, height)
        broad = (area.sqrt() / root_ratio).round().clamp(1, width)
        tall = torch.where(draws[4] < self.probability, tall, 0)
        top = (draws[2] * (height - tall + 1)).floor()
        left = (draws[3] * (width - broad + 1)).floor()
        rows, columns = _between(top, tall, height), _between(left, broad, width)
        # In NHWC order: a channels_last batch keeps its layout.
        mask = (rows[:, :, None] & columns[:, None, :])[..., None].to(images.device)
        if self.fill == "noise":
            shape = (number, height, width, channels)
            paint = torch.randint(256, shape, generator=generator, dtype=torch.uint8).to(images.device)
        else:
            paint = torch.tensor(self.fill, dtype=torch.uint8, device=images.device)
        return torch.where(mask, paint, images.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def _between(start: Tensor, length: Tensor, size: int) -> Tensor:
    """(b, size) bool: positions from ``start`` on, ``length`` of them."""
    position = torch.arange(size)
    return (position >= start[:, None]) & (position < (start + length)[:, None])
