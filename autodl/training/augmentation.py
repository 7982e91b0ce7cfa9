"""Augmentation of whole uint8 batches: the one seam where augmentation plugs in.

Anything that maps a (b, c, h, w) uint8 batch and a generator to a (b, c, h', w') uint8 batch is an
`Augmentation`. Batches run in channels_last layout, on the CPU or already on the device; random
numbers always come from the given CPU generator, so a seed means the same on every device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from autodl.errors import DataError, OptionError


class Augmentation(Protocol):
    """A random change of a batch of images."""

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Change a batch.

        Args:
            images: (b, c, h, w) uint8; not to be written to.
            generator: CPU generator, the only source of randomness.

        Returns:
            (b, c, h', w') uint8 on the same device.
        """


class Compose:
    """Several augmentations, one after the other."""

    def __init__(self, *steps: Augmentation) -> None:
        self.steps = steps

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Apply every step in order."""
        for step in self.steps:
            images = step(images, generator)
        return images


@dataclass(frozen=True, slots=True)
class PadCropFlip:
    """Shift by up to ``pad`` pixels over reflected borders, flip half, cut out a square.

    Args:
        pad: largest shift in pixels, each way.
        cutout: side of the square painted grey in each image, pixels; 0 for none
            (DeVries and Taylor, Improved Regularization of CNNs with Cutout, 2017).
        flip: mirror each image left-right with probability 1/2.
        fill: the grey that cutout paints, 0..255; about the mean of natural images.
    """

    pad: int = 4
    cutout: int = 0
    flip: bool = True
    fill: int = 120

    def __post_init__(self) -> None:
        if self.pad < 0 or self.cutout < 0 or not 0 <= self.fill <= 255:
            raise OptionError(f"pad and cutout must be >= 0 and fill in 0..255, got {self}")

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Shift, flip and cut a (b, c, h, w) uint8 batch."""
        check_pixels(images)
        if self.pad:
            images = shift(images, self.pad, generator)
        if self.flip:
            images = flip_half(images, generator)
        if self.cutout:
            images = cut_out(images, self.cutout, self.fill, generator)
        return images


@dataclass(frozen=True, slots=True)
class RandomResizedCropFlip:
    """A random part of each image, resized to ``size``, mirrored with probability 1/2.

    Args:
        size: side of the result in pixels.
        scale: smallest and largest share of the area that is kept.
        ratio: smallest and largest width : height of the part.
        flip: mirror each image left-right with probability 1/2.

    Source: Szegedy et al., Going Deeper with Convolutions, 2015, section 6; as in torchvision's
    ``RandomResizedCrop``, but a box that does not fit is clipped instead of drawn again.
    """

    size: int
    scale: tuple[float, float] = (0.35, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: bool = True

    def __post_init__(self) -> None:
        if self.size < 1 or not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise OptionError(f"size must be >= 1 and 0 < scale[0] <= scale[1] <= 1, got {self}")
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise OptionError(f"0 < ratio[0] <= ratio[1] must hold, got {self}")

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Crop and resize a (b, c, h, w) uint8 batch to (b, c, size, size)."""
        check_pixels(images)
        cropped = crop_resize(images, self._boxes(images, generator), self.size)
        return flip_half(cropped, generator) if self.flip else cropped

    def _boxes(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """(b, 4) int64: top, left, height, width of each part."""
        number, _, height, width = images.shape
        draws = torch.rand(4, number, generator=generator, dtype=torch.float64)
        area = self.scale[0] + draws[0] * (self.scale[1] - self.scale[0])
        low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
        root_ratio = (0.5 * (low + draws[1] * (high - low))).exp()
        side = (area * height * width).sqrt()
        box_h = (side / root_ratio).round().clamp(1, height)
        box_w = (side * root_ratio).round().clamp(1, width)
        top = (draws[2] * (height - box_h + 1)).floor()
        left = (draws[3] * (width - box_w + 1)).floor()
        return torch.stack([top, left, box_h, box_w], dim=1).long()


@dataclass(frozen=True, slots=True)
class CentreCrop:
    """The central ``size`` x ``size`` of each image, without a copy; smaller ones are enlarged."""

    size: int

    def __call__(self, images: Tensor) -> Tensor:
        """Crop a (b, c, h, w) uint8 batch to (b, c, size, size)."""
        height, width = images.shape[-2:]
        if min(height, width) < self.size:
            return Resize(self.size)(images)
        top, left = (height - self.size) // 2, (width - self.size) // 2
        return images[..., top : top + self.size, left : left + self.size]


@dataclass(frozen=True, slots=True)
class Resize:
    """Each image squeezed to ``size`` x ``size`` (bilinear, antialiased)."""

    size: int

    def __call__(self, images: Tensor) -> Tensor:
        """Resize a (b, c, h, w) uint8 batch to (b, c, size, size)."""
        if tuple(images.shape[-2:]) == (self.size, self.size):
            return images
        return _resize(images, self.size)


def check_pixels(images: Tensor) -> None:
    """Refuse what would be painted with levels of another scale.

    Raises:
        DataError: the batch is not (b, c, h, w) uint8.
    """
    if images.ndim != 4 or images.dtype != torch.uint8:
        raise DataError(
            f"images must be (b, c, h, w) uint8, got {tuple(images.shape)} {images.dtype}; augment before "
            "the conversion to floats, and give a single image as images[None]"
        )


def shift(images: Tensor, pad: int, generator: torch.Generator) -> Tensor:
    """Move each image by up to ``pad`` pixels each way, borders reflected; one gather."""
    number, _, height, width = images.shape
    rows, columns = _reflected(height, pad, images), _reflected(width, pad, images)
    taller = images.permute(0, 2, 3, 1).index_select(1, rows)
    # Whole rows are fast to gather, single columns are not: only the new ones are.
    left, right = (taller.index_select(2, part) for part in (columns[:pad], columns[width + pad :]))
    padded = torch.cat([left, taller, right], dim=2)
    windows = padded.unfold(1, height, 1).unfold(2, width, 1)  # b, 2p+1, 2p+1, c, h, w
    windows = windows.permute(0, 1, 2, 4, 5, 3)
    draws = torch.randint(2 * pad + 1, (2, number), generator=generator).to(images.device)
    which = torch.arange(number, device=images.device)
    return windows[which, draws[0], draws[1]].permute(0, 3, 1, 2)


def flip_half(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each image left-right with probability 1/2."""
    chosen = (torch.rand(len(images), generator=generator) < 0.5).nonzero().squeeze(1).to(images.device)
    flipped = images.permute(0, 2, 3, 1).clone()
    flipped[chosen] = flipped[chosen].flip(2)
    return flipped.permute(0, 3, 1, 2)


def cut_out(images: Tensor, side: int, fill: int, generator: torch.Generator) -> Tensor:
    """Paint a square of each image, centred anywhere, so at the border it is cut off."""
    number, _, height, width = images.shape
    draws = torch.rand(2, number, 1, generator=generator).to(images.device)
    inside_y = _inside(draws[0], height, side, images.device)
    inside_x = _inside(draws[1], width, side, images.device)
    mask = inside_y[:, :, None, None] & inside_x[:, None, :, None]
    # In NHWC order: masked_fill of a channels_last view would give a contiguous NCHW copy.
    return images.permute(0, 2, 3, 1).masked_fill(mask, fill).permute(0, 3, 1, 2)


def crop_resize(images: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Cut one box from each image and resize it.

    On a CPU torch's native uint8 kernel, called once an image, takes 0.09 ms for 256 to 224 px and
    is antialiased; one batched ``grid_sample`` takes 0.9 ms an image. On a device it is the other
    way round, so there the whole batch is sampled at once.

    Args:
        images: (b, c, h, w) uint8.
        boxes: (b, 4) int64 on the CPU: top, left, height, width.
        size: side of the result in pixels.
    """
    if images.device.type != "cpu":
        return sample_boxes(images, boxes, size)
    parts = [
        _resize(image[None, :, top : top + height, left : left + width], size)
        for image, (top, left, height, width) in zip(images, boxes.tolist(), strict=True)
    ]
    if not parts:
        return images.new_empty(0, images.shape[1], size, size)
    return torch.cat(parts).contiguous(memory_format=torch.channels_last)


def sample_boxes(images: Tensor, boxes: Tensor, size: int) -> Tensor:
    """`crop_resize` as one bilinear ``grid_sample`` over the batch (not antialiased)."""
    height, width = images.shape[-2:]
    top, left, box_h, box_w = boxes.to(images.device, torch.float32).unbind(1)
    theta = torch.zeros(len(images), 2, 3, device=images.device)
    theta[:, 0, 0], theta[:, 0, 2] = box_w / width, (2 * left + box_w) / width - 1
    theta[:, 1, 1], theta[:, 1, 2] = box_h / height, (2 * top + box_h) / height - 1
    grid = F.affine_grid(theta, [len(images), images.shape[1], size, size], align_corners=False)
    sampled = F.grid_sample(images.float(), grid, padding_mode="border", align_corners=False)
    return sampled.round_().to(torch.uint8).contiguous(memory_format=torch.channels_last)


def grey_level(mean: Sequence[float]) -> int:
    """The ``fill`` that matches a network's normalisation mean (0..1 a channel)."""
    return round(255 * sum(mean) / len(mean))


def _resize(images: Tensor, size: int) -> Tensor:
    if images.device.type == "cpu":  # the native uint8 kernel; elsewhere only floats are supported
        return F.interpolate(images, (size, size), mode="bilinear", antialias=True)
    resized = F.interpolate(images.float(), (size, size), mode="bilinear", antialias=True)
    return resized.round_().clamp_(0, 255).to(torch.uint8)


def _reflected(length: int, pad: int, images: Tensor) -> Tensor:
    """Indices that pad an axis by reflection (clamped where the pad exceeds the image)."""
    index = torch.arange(-pad, length + pad, device=images.device).abs()
    return (length - 1 - (length - 1 - index).abs()).clamp_(0, length - 1)


def _inside(draw: Tensor, length: int, side: int, device: torch.device) -> Tensor:
    """(b, length) bool: the stretch of ``side`` pixels whose centre is drawn uniformly."""
    start = (draw * length).floor() - side // 2
    position = torch.arange(length, device=device)
    return (position >= start) & (position < start + side)
