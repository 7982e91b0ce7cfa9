"""Residual networks for small images (up to about 64 px), trained from scratch.

Source: K. He et al., "Deep Residual Learning for Image Recognition", CVPR 2016 (the CIFAR variant,
section 4.2), with a zero-initialised last scale in each block (P. Goyal et al., "Accurate, Large
Minibatch SGD", 2017, section 5.1) and average-pooled shortcuts (T. He et al., "Bag of Tricks", CVPR
2019, figure 2c). Optional squeeze-excitation: J. Hu et al., CVPR 2018.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autodl.errors import OptionError
from autodl.models.classifier import Preprocessing

SMALLEST_MAP = 4  # the last stage's map is not shrunk below about this side
FULL_SIZE = 32  # larger images are brought to about this size by the stem


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
    """Two 3x3 convolutions with batch norm around a shortcut; starts as the shortcut alone."""

    def __init__(self, c_in: int, c_out: int, stride: int, *, se: bool) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv3x3(c_in, c_out, stride), nn.BatchNorm2d(c_out)
        self.conv2, self.bn2 = conv3x3(c_out, c_out), nn.BatchNorm2d(c_out)
        self.se = SqueezeExcitation(c_out) if se else nn.Identity()
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or c_in != c_out:
            layers: list[nn.Module] = [nn.AvgPool2d(stride, ceil_mode=True)] if stride != 1 else []
            layers += [nn.Conv2d(c_in, c_out, 1, bias=False), nn.BatchNorm2d(c_out)]
            self.shortcut = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c_in, h, w) to (n, c_out, ceil(h / stride), ceil(w / stride))."""
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.se(self.bn2(self.conv2(out)))
        return F.relu(out + self.shortcut(x), inplace=True)


class SmallResNet(nn.Module):
    """The backbone: images (n, channels, h, w) to features (n, width * 2 ** (stages - 1)).

    Args:
        input_size: side of the images it is meant for, pixels; fixes how often it downsamples.
        width: channels of the first stage; each further stage doubles them.
        blocks: residual blocks a stage.
        stages: number of stages, 1 to 6.
        se: squeeze-excitation in every block.
        channels: channels of the images.
    """

    def __init__(  # the network's own options, all with defaults
        self,
        input_size: int,
        *,
        width: int = 16,
        blocks: int = 1,
        stages: int = 4,
        se: bool = False,
        channels: int = 3,
    ) -> None:
        super().__init__()
        for name, value, high in (("width", width, 1024), ("blocks", blocks, 32), ("stages", stages, 6)):
            if not 1 <= value <= high:
                raise OptionError(f"small_resnet: {name} must lie in [1, {high}], got {value}")
        size = input_size
        stem: list[nn.Module] = []
        c_in = channels
        for _ in range(stem_halvings(input_size)):
            stem += [conv3x3(c_in, width, 2), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            c_in, size = width, math.ceil(size / 2)
        stem += [conv3x3(c_in, width), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        self.stem = nn.Sequential(*stem)
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
        self.stage_names = ("stem", *(f"blocks.{i}" for i in range(stages)))
        self.feature_dim = c_in
        self._initialise()

    def _initialise(self) -> None:
        """He initialisation; the last scale of each block is zero."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        for module in self.modules():
            if isinstance(module, ResidualBlock):
                nn.init.zeros_(module.bn2.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) to (n, feature_dim)."""
        out: Tensor = self.blocks(self.stem(x))
        return out.mean((2, 3))


def stem_halvings(input_size: int) -> int:
    """How often the stem halves the image so that the first stage sees about 32 px; at most 3."""
    return min(3, max(0, round(math.log2(input_size / FULL_SIZE))))


def small_preprocessing(input_size: int | None = None, channels: int = 3) -> Preprocessing:
    """The whole image, centred and scaled by round numbers: no data set's statistics."""
    return Preprocessing(
        input_size=input_size or FULL_SIZE,
        mean=(0.5,) * channels,
        std=(0.25,) * channels,
        channels=channels,
    )
