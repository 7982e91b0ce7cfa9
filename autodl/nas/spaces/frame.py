"""What stands around cells and blocks: a stem that fits the image, strides that fit the map, a head."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from autodl.models.classifier import Classifier

SMALLEST_MAP = 4
"""Small networks do not shrink a map below about this side, pixels."""


def as_classifier(
    backbone: nn.Module, head: nn.Module | int, num_classes: int, channels: int, side: int
) -> Classifier:
    """The network of a space: a backbone, and a head on its features.

    Args:
        backbone: images (n, channels, side, side) to features.
        head: features to logits, linear once it is realised; or the number of features.
        num_classes: logits.
        channels: of the images.
        side: of the images, pixels.
    """
    from autodl.models.classifier import Classifier  # noqa: PLC0415  # brings torchvision in
    from autodl.models.small_resnet import small_preprocessing  # noqa: PLC0415

    head = nn.Linear(head, num_classes) if isinstance(head, int) else head
    return Classifier(backbone, head, small_preprocessing(side, channels), num_classes=num_classes)


def conv_bn(c_in: int, c_out: int, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    """A convolution that keeps the size but for the stride, and its batch normalisation."""
    conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)
    return [conv, nn.BatchNorm2d(c_out)]


def small_stem(channels: int, width: int, side: int, first_map: int) -> tuple[nn.Sequential, int]:
    """Convolutions that bring an image to about `first_map` pixels, and the side they bring it to."""
    halvings = max(0, round(math.log2(side / first_map)))
    layers = conv_bn(channels, width, 3, 2 if halvings else 1)
    for _ in range(halvings - 1):
        layers += [nn.ReLU(), *conv_bn(width, width, 3, 2)]
    return nn.Sequential(*layers), math.ceil(side / 2**halvings)


def fitting_stride(stride: int, side: int, smallest: int = SMALLEST_MAP) -> tuple[int, int]:
    """The stride, or 1 where the map is small already; and the side it leaves."""
    if math.ceil(side / stride) < smallest:
        stride = 1
    return stride, math.ceil(side / stride)
