"""Operations that cells are made of; all map (n, c_in, h, w) to (n, c_out, ceil(h / s), ceil(w / s))."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from autodl.errors import OptionError


class Zero(nn.Module):
    """Zeros: no connection.

    Args:
        stride: of the output.
    """

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Zeros of the output's shape."""
        return torch.zeros_like(x[:, :, :: self.stride, :: self.stride])


class ReLUConvBN(nn.Sequential):
    """ReLU, convolution, batch normalisation.

    Args:
        c_in: channels read.
        c_out: channels made.
        kernel: odd, or an odd pair (height, width).
        stride: of the convolution.
        affine: whether the normalisation has a scale and a shift.
    """

    def __init__(
        self, c_in: int, c_out: int, kernel: int | tuple[int, int] = 1, stride: int = 1, affine: bool = True
    ) -> None:
        sides = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (sides[0] // 2, sides[1] // 2)
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(c_in, c_out, sides, stride, padding, bias=False),
            nn.BatchNorm2d(c_out, affine=affine),
        )


def depthwise(
    c_in: int, c_out: int, kernel: int, stride: int, dilation: int, affine: bool
) -> list[nn.Module]:
    """ReLU, depthwise convolution, pointwise convolution, batch normalisation."""
    padding = dilation * (kernel // 2)
    return [
        nn.ReLU(),
        nn.Conv2d(c_in, c_in, kernel, stride, padding, dilation, groups=c_in, bias=False),
        nn.Conv2d(c_in, c_out, 1, bias=False),
        nn.BatchNorm2d(c_out, affine=affine),
    ]


class SepConv(nn.Sequential):
    """A depthwise separable convolution, applied twice; the first time with the stride.

    Args:
        c_in: channels read.
        c_out: channels made.
        kernel: odd.
        stride: of the first.
        affine: whether the normalisations have a scale and a shift.
    """

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1, affine: bool = True) -> None:
        super().__init__(
            *depthwise(c_in, c_in, kernel, stride, 1, affine), *depthwise(c_in, c_out, kernel, 1, 1, affine)
        )


class DilConv(nn.Sequential):
    """A depthwise separable convolution whose kernel is spread by two.

    Args:
        c_in: channels read.
        c_out: channels made.
        kernel: odd.
        stride: of the convolution.
        affine: whether the normalisation has a scale and a shift.
    """

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1, affine: bool = True) -> None:
        super().__init__(*depthwise(c_in, c_out, kernel, stride, 2, affine))


class FactorizedReduce(nn.Module):
    """Halves the map: two pointwise convolutions, the second one pixel off, side by side.

    Args:
        c_in: channels read.
        c_out: channels made, at least 2.
        affine: whether the normalisation has a scale and a shift.
    """

    def __init__(self, c_in: int, c_out: int, affine: bool = True) -> None:
        super().__init__()
        self.even = nn.Conv2d(c_in, c_out - c_out // 2, 1, 2, bias=False)
        self.odd = nn.Conv2d(c_in, c_out // 2, 1, 2, bias=False)
        self.norm = nn.BatchNorm2d(c_out, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c_in, h, w) -> (n, c_out, ceil(h / 2), ceil(w / 2))."""
        x = F.relu(x)
        out: Tensor = self.norm(torch.cat([self.even(x), self.odd(one_pixel_off(x))], dim=1))
        return out


def one_pixel_off(x: Tensor) -> Tensor:
    """Without the first row and column; a last one of zeros keeps the size, so that odd sides fit."""
    return F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]


class Pool(nn.Sequential):
    """Pooling that keeps the size but for the stride; a mean counts real pixels only.

    Args:
        kind: "max" or "avg".
        channels: of the map, for the normalisation.
        kernel: odd.
        stride: of the pooling.
        norm: whether a batch normalisation without scale and shift follows.
    """

    def __init__(
        self, kind: str, channels: int, kernel: int = 3, stride: int = 1, *, norm: bool = False
    ) -> None:
        if kind not in ("max", "avg"):
            raise OptionError(f"a pooling is max or avg, got {kind!r}")
        pool: nn.Module = (
            nn.MaxPool2d(kernel, stride, kernel // 2)
            if kind == "max"
            else nn.AvgPool2d(kernel, stride, kernel // 2, count_include_pad=False)
        )
        super().__init__(pool, *([nn.BatchNorm2d(channels, affine=False)] if norm else []))


class DropPath(nn.Module):
    """In training, drops the whole map of an image with some probability, and scales up the rest.

    Args:
        probability: of dropping, in [0, 1); `set_drop_path` changes it as training goes on.

    Source: Larsson et al., FractalNet, 2017; Zoph et al., NASNet, 2018, section 4 (scheduled).
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        if not 0 <= probability < 1:
            raise OptionError(f"a path is dropped with a probability in [0, 1), got {probability!r}")
        self.probability = probability

    def extra_repr(self) -> str:
        """The probability."""
        return f"{self.probability}"

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w), the same shape out."""
        if not self.training or self.probability == 0:
            return x
        kept = 1 - self.probability
        return x * x.new_empty(x.shape[0], 1, 1, 1).bernoulli_(kept).div_(kept)


def set_drop_path(net: nn.Module, probability: float) -> None:
    """Every `DropPath` of a network gets this probability: raised linearly in published trainings."""
    for module in net.modules():
        if isinstance(module, DropPath):
            module.probability = probability
