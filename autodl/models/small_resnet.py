"""Residual networks for small images (up to about 64 px), trained from scratch.

Source: K. He et al., "Identity Mappings in Deep Residual Networks", ECCV 2016, figure 4e (full
pre-activation). Optional squeeze-excitation: J. Hu et al., CVPR 2018.

Departure: the stem halves the image before the first stage. On a CPU few channels at full
resolution are slow for what they compute: at equal time on one core (5,000 CIFAR-10 images, 100 s)
32 channels at 16 px reached 0.70 where 16 channels at 32 px reached 0.67.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autodl.errors import OptionError
from autodl.models.classifier import Preprocessing

SMALLEST_MAP = 4  # the last stage's map is not shrunk below about this side
USUAL_SIZE = 32  # side of the input where none is given, pixels


def conv3x3(c_in: int, c_out: int, stride: int = 1) -> nn.Conv2d:
    """A bias-free 3x3 convolution with one pixel of padding."""
    return nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)


class SqueezeExcitation(nn.Module):
    """Scales each channel by a gate computed from the globally pooled map."""

    def __init__(self, width: int, reduction: int = 4) -> None:
        super().__init__()
        hidden = max(8, width // reduction)
        self.reduce, self.expand = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to the same shape."""
        gate = torch.sigmoid(self.expand(F.relu(self.reduce(x.mean((2, 3))))))
        return x * gate[:, :, None, None]


class ResidualBlock(nn.Module):
    """Twice batch norm, ReLU and a 3x3 convolution, beside a shortcut."""

    def __init__(self, c_in: int, c_out: int, stride: int, *, se: bool) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(c_in), conv3x3(c_in, c_out, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(c_out), conv3x3(c_out, c_out)
        self.se = SqueezeExcitation(c_out) if se else nn.Identity()
        keeps_shape = stride == 1 and c_in == c_out
        self.shortcut = None if keeps_shape else nn.Conv2d(c_in, c_out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c_in, h, w) to (n, c_out, ceil(h / stride), ceil(w / stride))."""
        active = F.relu(self.bn1(x), inplace=True)
        shortcut = x if self.shortcut is None else self.shortcut(active)
        out: Tensor = self.se(self.conv2(F.relu(self.bn2(self.conv1(active)), inplace=True)))
        return out + shortcut


class SmallResNet(nn.Module):
    """The backbone: images (n, channels, h, w) to features (n, width * 2 ** (stages - 1)).

    Args:
        input_size: side of the images it is meant for, pixels; fixes how often it downsamples.
        width: channels of the first stage; each further stage doubles them.
        blocks: residual blocks a stage.
        stages: number of stages, 1 to 6.
        first_map: side that the stem brings images to, pixels; 32 keeps CIFAR's resolution, is some
            four times slower at equal width, and better where there is time for it.
        se: squeeze-excitation in every block.
        channels: channels of the images.
    """

    def __init__(  # the network's own options, all with defaults
        self,
        input_size: int,
        *,
        width: int = 32,
        blocks: int = 1,
        stages: int = 3,
        first_map: int = 16,
        se: bool = False,
        channels: int = 3,
    ) -> None:
        super().__init__()
        ranges = (("width", width, 1024), ("blocks", blocks, 32), ("stages", stages, 6))
        for name, value, high in (*ranges, ("first_map", first_map, 1024)):
            if not 1 <= value <= high:
                raise OptionError(f"small_resnet: {name} must lie in [1, {high}], got {value}")
        self.stem, size = make_stem(input_size, channels, width, first_map)
        c_in, built = width, []
        for index in range(stages):
            c_out = width * 2**index
            stride = 2 if index > 0 and math.ceil(size / 2) >= SMALLEST_MAP else 1
            size = math.ceil(size / stride)
            layers = [ResidualBlock(c_in, c_out, stride, se=se)]
            layers += [ResidualBlock(c_out, c_out, 1, se=se) for _ in range(blocks - 1)]
            built.append(nn.Sequential(*layers))
            c_in = c_out
        self.blocks = nn.Sequential(*built)
        self.last = nn.Sequential(nn.BatchNorm2d(c_in), nn.ReLU(inplace=True))
        self.stage_names = ("stem", *(f"blocks.{i}" for i in range(stages)), "last")
        self.feature_dim = c_in

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) to (n, feature_dim)."""
        out: Tensor = self.last(self.blocks(self.stem(x)))
        return out.mean((2, 3))


def make_stem(input_size: int, channels: int, width: int, first_map: int) -> tuple[nn.Sequential, int]:
    """Convolutions that bring an image to about `first_map` pixels, and the side they bring it to."""
    halvings = min(3, max(0, round(math.log2(input_size / first_map))))
    if not halvings:
        return nn.Sequential(conv3x3(channels, width)), input_size
    layers: list[nn.Module] = []
    size, c_in = input_size, channels
    for number in range(halvings):
        if number:
            layers += [nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        layers.append(nn.Conv2d(c_in, width, 4, 2, 1, bias=False))
        c_in, size = width, size // 2
    return nn.Sequential(*layers), size


def small_preprocessing(input_size: int | None = None, channels: int = 3) -> Preprocessing:
    """The whole image, centred and scaled by round numbers: no data set's statistics."""
    return Preprocessing(
        input_size=input_size or USUAL_SIZE,
        mean=(0.5,) * channels,
        std=(0.25,) * channels,
        channels=channels,
    )
