"""Colour ops in plain torch, on a batch whose images all take the same op.

Every function maps (k, c, h, w) uint8 and (k,) float32 magnitudes to a new batch. Where the
result is rounded, the order of the operations is fixed, so that other backends give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

GREY_WEIGHTS = (19589, 38470, 7471)
"""0.2989, 0.587 and 0.114 times 2^16."""


def _each(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def grey(images: Tensor) -> Tensor:
    """(k, 1, h, w) int32 luma, rounded down."""
    if images.shape[1] == 1:
        return images.to(torch.int32)
    red, green, blue = (images[:, i : i + 1].to(torch.int32) for i in range(3))
    total = red.mul_(GREY_WEIGHTS[0]).add_(green.mul_(GREY_WEIGHTS[1])).add_(blue.mul_(GREY_WEIGHTS[2]))
    return total.bitwise_right_shift_(16)


def _to_bytes(floats: Tensor) -> Tensor:
    """Floats cut to 0..255, in place, and rounded down; by way of int16 five times as fast on a CPU."""
    return floats.clamp_(0, 255).to(torch.int16).to(torch.uint8)


def _blend(images: Tensor, factors: Tensor, others: Tensor) -> Tensor:
    """``images * factor + others``, in that order, cut to 0..255 and rounded down."""
    return (
        images.to(torch.float32)
        .mul_(_each(factors))
        .add_(others)
        .clamp_(0, 255)
        .to(torch.int16)
        .to(torch.uint8)
    )


def brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Towards black (0), away from it (above 1)."""
    return _to_bytes(images.to(torch.float32).mul_(_each(factors)))


def contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Towards each image's mean grey (0), away from it (above 1)."""
    pixels = images.shape[2] * images.shape[3]
    mean = (grey(images).sum((1, 2, 3)).double() / pixels).to(torch.float32)
    return _blend(images, factors, _each(mean * (1 - factors)))


def color(images: Tensor, factors: Tensor) -> Tensor:
    """Towards the grey image (0), away from it (above 1); grey images stay."""
    if images.shape[1] == 1:
        return images.clone()
    return _blend(images, factors, grey(images).to(torch.float32).mul_(_each(1 - factors)))


def sharpness(images: Tensor, factors: Tensor) -> Tensor:
    """Towards a 3 x 3 blur (0), away from it (above 1); the outermost pixels stay.

    The blur (ones about a 5, over 13) is two box sums in int16, which is seven times as fast as
    a one-channel convolution.
    """
    result = images.clone()
    if min(images.shape[2:]) <= 2:
        return result
    wide = images.to(torch.int16)
    rows = wide[:, :, :-2] + wide[:, :, 1:-1]
    rows += wide[:, :, 2:]
    total = rows[..., :-2] + rows[..., 1:-1]
    total += rows[..., 2:]
    total += wide[:, :, 1:-1, 1:-1] * 4
    blur = total.to(torch.float32).mul_(1 / 13).round_().mul_(_each(1 - factors))
    result[:, :, 1:-1, 1:-1] = _blend(images[:, :, 1:-1, 1:-1], factors, blur)
    return result


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """Keep the upper bits."""
    kept = bits.trunc().clamp(0, 8)
    mask = (256 - torch.pow(2.0, 8 - kept)).to(torch.uint8)
    return images & _each(mask)


def solarize(images: Tensor, thresholds: Tensor) -> Tensor:
    """Invert what is at or above the threshold."""
    level = thresholds.ceil().clamp(0, 256).to(torch.int16)
    hit = images >= _each(level.clamp(max=255).to(torch.uint8))
    hit &= _each(level <= 255)
    return images ^ hit.view(torch.uint8).neg_()


def invert(images: Tensor, _: Tensor) -> Tensor:
    """255 minus each value."""
    return images.bitwise_not()


def _extremes(images: Tensor) -> tuple[Tensor, Tensor]:
    """(k, c) lowest and highest level of each channel."""
    if images.is_contiguous():
        return images.amin((2, 3)), images.amax((2, 3))
    number, channels, height, width = images.shape
    # Over rows first: three channels side by side are too narrow for a fast reduction.
    rows = images.permute(0, 2, 3, 1).reshape(number, height, width * channels)
    low, high = (part.view(number, width, channels) for part in (rows.amin(1), rows.amax(1)))
    return low.amin(1), high.amax(1)


def autocontrast(images: Tensor, _: Tensor) -> Tensor:
    """Stretch each channel to 0..255; a channel of one level stays."""
    low, high = (level.to(torch.float32)[:, :, None, None] for level in _extremes(images))
    flat = high == low
    span = torch.where(flat, 255.0, high - low)
    low = torch.where(flat, 0.0, low)
    # A quotient of small whole numbers is never rounded across a whole number: this is exact.
    return _to_bytes(images.to(torch.float32).sub_(low).mul_(255).div_(span))


def equalize(images: Tensor, _: Tensor) -> Tensor:
    """Flatten each channel's histogram, by Pillow's integer rule."""
    number, channels, height, width = images.shape
    planes, pixels = number * channels, height * width
    values = images.reshape(planes, pixels).long()
    offset = torch.arange(planes, device=images.device).mul_(256)[:, None]
    histogram = torch.bincount((values + offset).reshape(-1), minlength=planes * 256).view(planes, 256)
    highest = values.amax(1, keepdim=True)
    step = (pixels - histogram.gather(1, highest)).div_(255, rounding_mode="floor")
    below = histogram.cumsum(1).sub_(histogram)
    table = below.add_(step // 2).div_(step.clamp(min=1), rounding_mode="floor").clamp_(max=255)
    table = torch.where(step == 0, torch.arange(256, device=images.device), table).to(torch.uint8)
    result = torch.empty_like(images)
    result.copy_(table.gather(1, values).view(images.shape))
    return result


COLOUR_OPS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "AutoContrast": autocontrast,
    "Invert": invert,
    "Equalize": equalize,
    "Solarize": solarize,
    "Posterize": posterize,
    "Contrast": contrast,
    "Color": color,
    "Brightness": brightness,
    "Sharpness": sharpness,
}
