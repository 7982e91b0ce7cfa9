"""Mobile blocks whose channels and kernels are open; all choices share their weights."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from autodl.nas.elastic import Elastic, Size, replace_sizes
from autodl.nas.elastic_layers import ElasticBatchNorm2d, ElasticConv2d
from autodl.nas.spaces.mbconv import activation, rounded


def share_of(size: Size, share: float) -> Size:
    """A share of channels, rounded to multiples of 8, under the same decision."""
    if isinstance(size, Elastic):
        return replace_sizes(size, tuple(rounded(s * share) for s in size.sizes))
    return rounded(size * share)


class ElasticSqueezeExcite(nn.Module):
    """`SqueezeExcite` of open channels.

    Args:
        channels: of the map.
        hidden: of the gate's inner layer.
    """

    def __init__(self, channels: Size, hidden: Size) -> None:
        super().__init__()
        self.reduce = ElasticConv2d(channels, hidden, 1)
        self.expand = ElasticConv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w), the same shape out."""
        return x * F.hardsigmoid(self.expand(F.relu(self.reduce(x.mean((2, 3), keepdim=True)))))


def elastic_conv_bn(
    c_in: Size, c_out: Size, kernel: Size = 1, *, stride: int = 1, depthwise: bool = False
) -> list[nn.Module]:
    """A convolution of open sizes and its batch normalisation."""
    conv = ElasticConv2d(
        c_in, c_out, kernel, stride=stride, groups="depthwise" if depthwise else 1, bias=False
    )
    return [conv, ElasticBatchNorm2d(c_out)]


def elastic_mbconv(  # a block has this many options in the papers
    c_in: Size,
    hidden: Size,
    c_out: Size,
    *,
    kernel: Size,
    stride: int,
    act: str,
    squeeze: nn.Module | None = None,
) -> nn.Sequential:
    """Expand, filter each channel, project, without a shortcut.

    Args:
        c_in: channels read.
        hidden: inner channels.
        c_out: channels made.
        kernel: of the depthwise convolution.
        stride: of the depthwise convolution.
        act: see `autodl.nas.spaces.mbconv.ACTIVATIONS`.
        squeeze: works on the inner channels, before they are projected.
    """
    return nn.Sequential(
        *elastic_conv_bn(c_in, hidden),
        activation(act),
        *elastic_conv_bn(hidden, hidden, kernel, stride=stride, depthwise=True),
        activation(act),
        *([] if squeeze is None else [squeeze]),
        *elastic_conv_bn(hidden, c_out),
    )
