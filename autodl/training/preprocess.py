"""From uint8 batches to what a network takes: an eval view and a normalisation on the device."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from autodl.models.classifier import Preprocessing
from autodl.training.augmentation import CentreCrop

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow converts to grey


class Preprocess:
    """Moves a uint8 batch to the device and normalises it there, in the network's precision.

    Args:
        mean: a channel, in units of 0..1.
        std: a channel, in units of 0..1.
        view: what is seen of an image outside training, (b, c, h, w) uint8 to the same with another
            height and width (`CentreCrop`, `Resize`); None shows all of it.
    """

    def __init__(
        self,
        mean: tuple[float, ...] = (0.485, 0.456, 0.406),
        std: tuple[float, ...] = (0.229, 0.224, 0.225),
        view: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.mean, self.std, self.view = tuple(mean), tuple(std), view

    @classmethod
    def of(cls, preprocessing: Preprocessing) -> Preprocess:
        """What a network's own record asks for: its normalisation and a centre crop."""
        return cls(preprocessing.mean, preprocessing.std, CentreCrop(preprocessing.input_size))

    def normalise(self, images: Tensor, dtype: torch.dtype, channels_last: bool) -> Tensor:
        """(b, c, h, w) uint8 to floats of ``dtype``.

        Rows of all channels lie side by side in memory, so they are scaled as long vectors; over an
        inner axis of three channels the same takes 15 times as long.
        """
        if images.shape[1] == 3 and len(self.mean) == 1:
            images = to_grey(images)
        number, channels, height, width = images.shape
        rows = images.permute(0, 2, 3, 1).reshape(number, height, width * channels).to(torch.float32)
        mean, scale = self._row(width, images.device)
        floats = rows.sub_(mean).mul_(scale).to(dtype)
        result = floats.view(number, height, width, channels).permute(0, 3, 1, 2)
        return result if channels_last else result.contiguous()

    def _row(self, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Mean and 1 / deviation in pixel values, repeated along a row of pixels."""
        mean = torch.tensor(self.mean).mul_(255).repeat(width)
        scale = torch.tensor(self.std).mul_(255).reciprocal_().repeat(width)
        return mean.to(device), scale.to(device)


def to_grey(images: Tensor) -> Tensor:
    """(b, 3, h, w) uint8 colours to (b, 1, h, w) uint8 luminance."""
    weights = torch.tensor(LUMA, device=images.device).view(1, 3, 1, 1)
    return (images * weights).sum(1, keepdim=True).round_().to(torch.uint8)
