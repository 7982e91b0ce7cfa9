"""What stands around cells and blocks: a stem that fits the image, strides that fit the map, a head."""

from __future__ import annotations

import math

from torch import Tensor, nn

from autodl.models.classifier import Classifier
from autodl.models.small_resnet import small_preprocessing

SMALLEST_MAP = 4
"""Small networks do not shrink a map below about this side, pixels."""


def as_classifier(
    backbone: nn.Module, features: int, num_classes: int, channels: int, side: int
) -> Classifier:
    """The network of a space: a backbone, and a linear head on its features."""
    head = nn.Linear(features, num_classes)
    return Classifier(backbone, head, small_preprocessing(side, channels))


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


class GlobalMean(nn.Module):
    """(n, c, h, w) -> (n, c)."""

    def forward(self, x: Tensor) -> Tensor:
        """The mean of each map."""
        return x.mean((2, 3))
