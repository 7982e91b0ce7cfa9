"""Inverted residual blocks, and the parts they are made of.

Source: M. Sandler et al., "MobileNetV2", CVPR 2018, section 3; squeeze-excitation and h-swish as in
A. Howard et al., "Searching for MobileNetV3", ICCV 2019, sections 5.2 and 5.3.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from autodl.errors import UnknownNameError
from autodl.nas.spaces.frame import conv_bn

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "relu6": nn.ReLU6, "hswish": nn.Hardswish}
"""h-swish is ``x * relu6(x + 3) / 6``."""


def activation(name: str) -> nn.Module:
    """A new activation.

    Raises:
        UnknownNameError: no such activation.
    """
    if name not in ACTIVATIONS:
        raise UnknownNameError("activation", name, tuple(ACTIVATIONS))
    return ACTIVATIONS[name]()


def rounded(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of ``divisor``, never less than nine tenths of ``channels``."""
    near = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return near if near >= 0.9 * channels else near + divisor


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate from the mean map: ReLU within, a piecewise sigmoid outside.

    Args:
        channels: of the map.
        hidden: of the gate's inner layer.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(channels, hidden, 1), nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w), the same shape out."""
        return x * F.hardsigmoid(self.expand(F.relu(self.reduce(x.mean((2, 3), keepdim=True)))))


class ChannelShuffle(nn.Module):
    """Deals the channels of groups out to all groups.

    Args:
        groups: of the convolution before.
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w), the same shape out."""
        n, c, h, w = x.shape
        return x.view(n, self.groups, c // self.groups, h, w).transpose(1, 2).reshape(n, c, h, w)


class Residual(nn.Module):
    """``x + body(x)``.

    Args:
        body: keeps the shape.
    """

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """The sum."""
        out: Tensor = x + self.body(x)
        return out


def mbconv(  # noqa: PLR0913  # a block has this many options in the papers
    c_in: int,
    c_out: int,
    *,
    kernel: int = 3,
    stride: int = 1,
    expand: float = 6,
    hidden: int | None = None,
    se: float = 0.0,
    act: str = "relu6",
    groups: int = 1,
    always_expand: bool = False,
) -> nn.Module:
    """Expand, filter each channel, project; with a shortcut where shapes allow it.

    Args:
        c_in: channels read.
        c_out: channels made.
        kernel: of the depthwise convolution, odd.
        stride: of the depthwise convolution.
        expand: inner channels for each channel read; 1: there is no expansion.
        hidden: inner channels; None: ``c_in * expand``.
        se: squeeze-excitation with this share of the inner channels; 0: none.
        act: see `ACTIVATIONS`.
        groups: of both pointwise convolutions; a shuffle follows the first if above 1.
        always_expand: a pointwise convolution before the filter even if ``expand`` is 1 (FBNet).
    """
    inner = hidden or round(c_in * expand)
    layers: list[nn.Module] = []
    if inner != c_in or always_expand:
        layers += [nn.Conv2d(c_in, inner, 1, groups=groups, bias=False), nn.BatchNorm2d(inner)]
        layers += [activation(act), *([ChannelShuffle(groups)] if groups > 1 else [])]
    filters = nn.Conv2d(inner, inner, kernel, stride, kernel // 2, groups=inner, bias=False)
    layers += [filters, nn.BatchNorm2d(inner), activation(act)]
    layers += [SqueezeExcite(inner, rounded(inner * se))] if se else []
    layers += [nn.Conv2d(inner, c_out, 1, groups=groups, bias=False), nn.BatchNorm2d(c_out)]
    body = nn.Sequential(*layers)
    return Residual(body) if stride == 1 and c_in == c_out else body


def separable(c_in: int, c_out: int, *, kernel: int = 3, stride: int = 1, act: str = "relu6") -> nn.Module:
    """A depthwise and a pointwise convolution, without a shortcut: the first block of mobile networks."""
    filters = nn.Conv2d(c_in, c_in, kernel, stride, kernel // 2, groups=c_in, bias=False)
    return nn.Sequential(filters, nn.BatchNorm2d(c_in), activation(act), *conv_bn(c_in, c_out, 1))
