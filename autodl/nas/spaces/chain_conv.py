"""A convolution whose kernel is open in height and in width."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from autodl.nas.elastic import Elastic, ElasticModule, Size, largest, size_in
from autodl.nas.realise import placed_like
from autodl.spaces import Value


class RectConv2d(ElasticModule):
    """A convolution without bias of open channels, kernel height and kernel width; keeps the size.

    Args:
        in_channels: channels it reads.
        out_channels: channels it makes.
        height: of the kernel, odd; a smaller one is the middle of the largest.
        width: of the kernel, odd.
    """

    def __init__(self, in_channels: Size, out_channels: Size, height: Size, width: Size) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.height, self.width = height, width
        made = nn.Conv2d(
            largest(in_channels), largest(out_channels), (largest(height), largest(width)), bias=False
        )
        self.weight = made.weight

    def open_sizes(self) -> tuple[Size, ...]:
        """Input, output, height, width."""
        return self.in_channels, self.out_channels, self.height, self.width

    def forward(self, x: Tensor) -> Tensor:
        """(n, in, h, w) -> (n, out, h, w) at this call's sizes."""
        x = self._masked(x, self.in_channels, 1)
        weight = self.weight[: self._number(self.out_channels), : x.shape[1]]
        for size, dim in ((self.height, 2), (self.width, 3)):
            decided = self._decide(size)
            if isinstance(decided, Tensor):
                assert isinstance(size, Elastic)
                shape = [1, 1, 1, 1]
                shape[dim] = -1
                weight = weight * _gates(size, decided.to(weight)).view(shape)
            else:
                weight = _middle(weight, dim, decided)
        return F.conv2d(x, weight, padding=(weight.shape[2] // 2, weight.shape[3] // 2))

    def realised(self, arch: Mapping[str, Value], *, fresh: bool) -> nn.Module:
        """An ordinary convolution."""
        c_in, c_out, height, width = (size_in(size, arch) for size in self.open_sizes())
        conv = nn.Conv2d(c_in, c_out, (height, width), padding=(height // 2, width // 2), bias=False)
        if not fresh:
            with torch.no_grad():
                conv.weight.copy_(_middle(_middle(self.weight[:c_out, :c_in], 2, height), 3, width))
        return placed_like(conv, self)


def _middle(weight: Tensor, dim: int, size: int) -> Tensor:
    return weight.narrow(dim, (weight.shape[dim] - size) // 2, size)


def _gates(size: Elastic, weights: Tensor) -> Tensor:
    """``sum_i g_i M_i`` along one side of the largest kernel."""
    distance = (torch.arange(size.largest, device=weights.device) - size.largest // 2).abs()
    masks = torch.stack([distance <= s // 2 for s in size.sizes]).to(weights)
    return weights @ masks
