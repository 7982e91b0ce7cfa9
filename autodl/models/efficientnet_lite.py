"""EfficientNet-Lite: mobile inverted bottlenecks without squeeze-excitation, with ReLU6.

Source: M. Tan, Q. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
ICML 2019, table 1 and equation 3, in the "lite" variant (Google, 2020): no squeeze-excitation, ReLU6 for
swish, stem and head of fixed width, first and last stage of fixed depth. The published weights were
trained with TensorFlow's "SAME" padding, which is one-sided where a strided layer sees an even size.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from autodl.models.classifier import Preprocessing

FEATURE_DIM = 1280
STEM_WIDTH = 32
BN_EPS = 1e-3


@dataclass(frozen=True, slots=True)
class Scaling:
    """Compound coefficients of one member of the family (``input_size``: pixels)."""

    width: float
    depth: float
    input_size: int


SCALINGS = {
    "efficientnet_lite0": Scaling(1.0, 1.0, 224),
    "efficientnet_lite1": Scaling(1.0, 1.1, 240),
    "efficientnet_lite2": Scaling(1.1, 1.2, 260),
}

# Stages of the base network: (blocks, kernel, stride, expansion, width).
BASE_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def scaled_width(width: int, factor: float) -> int:
    """``width * factor`` to the nearest multiple of 8, never more than 10 % below."""
    target = width * factor
    rounded = max(8, int(target + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * target else rounded


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after one axis in TensorFlow's "SAME" mode; the odd one comes after."""
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class SameConv2d(nn.Conv2d):
    """A bias-free convolution with "SAME" padding worked out from the input's size."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(c_in, c_out, kernel, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c_in, h, w) to (n, c_out, ceil(h / stride), ceil(w / stride))."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        top, bottom = same_padding(x.shape[-2], kernel, stride)
        left, right = same_padding(x.shape[-1], kernel, stride)
        padding = (top, left)
        if (top, left) != (bottom, right):
            x, padding = F.pad(x, (left, right, top, bottom)), (0, 0)
        return F.conv2d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class ConvBN(nn.Module):
    """Convolution, batch norm and, if asked for, ReLU6."""

    def __init__(self, conv: SameConv2d, *, act: bool = True) -> None:
        super().__init__()
        self.conv = conv
        self.bn = nn.BatchNorm2d(conv.out_channels, eps=BN_EPS)
        self.act = nn.ReLU6(inplace=True) if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(n, c_in, h, w) to (n, c_out, h', w')."""
        out: Tensor = self.act(self.bn(self.conv(x)))
        return out


class InvertedBottleneck(nn.Module):
    """1x1 expansion, depthwise convolution, 1x1 linear projection; skipped over where shapes allow."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = c_in * expansion
        self.expand = ConvBN(SameConv2d(c_in, hidden, 1)) if expansion > 1 else nn.Identity()
        self.depthwise = ConvBN(SameConv2d(hidden, hidden, kernel, stride, groups=hidden))
        self.project = ConvBN(SameConv2d(hidden, c_out, 1), act=False)
        self.has_skip = stride == 1 and c_in == c_out
        self.drop_path = 0.0

    def forward(self, x: Tensor) -> Tensor:
        """(n, c_in, h, w) to (n, c_out, h', w')."""
        out: Tensor = self.project(self.depthwise(self.expand(x)))
        if not self.has_skip:
            return out
        if self.training and self.drop_path > 0:
            keep = out.new_empty(out.shape[0], 1, 1, 1).bernoulli_(1 - self.drop_path)
            out = out * keep.div_(1 - self.drop_path)
        return x + out


class EfficientNetLite(nn.Module):
    """The backbone: images (n, 3, h, w) to features (n, 1280).

    Args:
        scaling: width and depth coefficients.
        drop_path: probability of skipping the last block in training (stochastic depth); it grows
            linearly from 0 at the first block. In [0, 1).
    """

    def __init__(self, scaling: Scaling, *, drop_path: float = 0.0) -> None:
        super().__init__()
        self.stem = ConvBN(SameConv2d(3, STEM_WIDTH, 3, 2))
        stages, width = [], STEM_WIDTH
        for index, (count, kernel, stride, expansion, base_width) in enumerate(BASE_STAGES):
            fixed = index in (0, len(BASE_STAGES) - 1)
            depth = count if fixed else math.ceil(count * scaling.depth)
            out = scaled_width(base_width, scaling.width)
            blocks = [InvertedBottleneck(width, out, kernel, stride, expansion)]
            blocks += [InvertedBottleneck(out, out, kernel, 1, expansion) for _ in range(depth - 1)]
            stages.append(nn.Sequential(*blocks))
            width = out
        self.blocks = nn.Sequential(*stages)
        self.last = ConvBN(SameConv2d(width, FEATURE_DIM, 1))
        self.stage_names = ("stem", *(f"blocks.{i}" for i in range(len(stages))), "last")
        all_blocks = [m for m in self.modules() if isinstance(m, InvertedBottleneck)]
        for index, block in enumerate(all_blocks):
            block.drop_path = drop_path * index / len(all_blocks)
        self._initialise()

    def _initialise(self) -> None:
        """He initialisation over the fan out, as the family was trained."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.kernel_size[0] ** 2 * module.out_channels // module.groups
                nn.init.normal_(module.weight, std=math.sqrt(2.0 / fan_out))

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, h, w) to (n, 1280)."""
        out: Tensor = self.last(self.blocks(self.stem(x)))
        return out.mean((2, 3))


def lite_preprocessing(name: str, input_size: int | None = None) -> Preprocessing:
    """What the published weights were trained on: (pixel - 127) / 128, centre crop 0.875, bicubic."""
    return Preprocessing(
        input_size=input_size or SCALINGS[name].input_size,
        mean=(127 / 255,) * 3,
        std=(128 / 255,) * 3,
        crop_fraction=0.875,
        interpolation="bicubic",
    )


_LAYERS = {"_expand_conv": "expand.conv", "_bn0": "expand.bn", "_depthwise_conv": "depthwise.conv",
           "_bn1": "depthwise.bn", "_project_conv": "project.conv", "_bn2": "project.bn"}  # fmt: skip
_TOP = {"_conv_stem": "stem.conv", "_bn0": "stem.bn", "_conv_head": "last.conv", "_bn1": "last.bn"}


def rename_published(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """Keys of the published PyTorch checkpoints (``_blocks.3._bn1.weight``) as ours.

    Keys that follow no known pattern are kept, so that the strict load lists them.
    """
    depth = SCALINGS[name].depth
    counts = [c if i in (0, len(BASE_STAGES) - 1) else math.ceil(c * depth)
              for i, (c, *_) in enumerate(BASE_STAGES)]  # fmt: skip
    places = [f"blocks.{stage}.{block}" for stage, count in enumerate(counts) for block in range(count)]

    def rename(key: str) -> str:
        if match := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", key):
            index, layer, tensor = int(match[1]), match[2], match[3]
            if index < len(places) and layer in _LAYERS:
                return f"backbone.{places[index]}.{_LAYERS[layer]}.{tensor}"
        if match := re.fullmatch(r"(\w+)\.(\w+)", key):
            if match[1] == "_fc":
                return f"head.{match[2]}"
            if match[1] in _TOP:
                return f"backbone.{_TOP[match[1]]}.{match[2]}"
        return key

    return {rename(key): value for key, value in state.items()}
