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

        Integers up to 256 are exact in bfloat16, so converting first loses nothing.
        """
        layout = torch.channels_last if channels_last else torch.contiguous_format
        if images.shape[1] == 3 and len(self.mean) == 1:
            images = to_grey(images)
        floats = images.to(dtype=dtype, memory_format=layout)
        shape = (1, len(self.mean), 1, 1)
        mean = torch.tensor(self.mean, device=images.device).mul_(255).to(dtype).view(shape)
        scale = torch.tensor(self.std, device=images.device).mul_(255).reciprocal_().to(dtype)
        return floats.sub_(mean).mul_(scale.view(shape))


def to_grey(images: Tensor) -> Tensor:
    """(b, 3, h, w) uint8 colours to (b, 1, h, w) uint8 luminance."""
    weights = torch.tensor(LUMA, device=images.device).view(1, 3, 1, 1)
    return (images * weights).sum(1, keepdim=True).round_().to(torch.uint8)
