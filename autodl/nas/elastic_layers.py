"""Ordinary layers with open sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from autodl.errors import PlanError, SpaceError
from autodl.nas.elastic import Elastic, ElasticModule, Size, largest, size_in
from autodl.nas.plans import check_weights
from autodl.nas.realise import placed_like
from autodl.spaces import Value


class ElasticConv2d(ElasticModule):
    """A convolution with open numbers of channels and an open kernel size; padded to keep the size.

    Args:
        in_channels: channels it reads, (n, in, h, w); an `Elastic` that the layer before shares.
        out_channels: channels it makes.
        kernel: odd; a smaller kernel is the centre of the largest.
        stride: of the convolution.
        dilation: of the kernel.
        groups: 1, or "depthwise" for one group a channel; other numbers where channels are fixed.
        bias: whether there is one.

    Raises:
        SpaceError: an even kernel; groups that open channels cannot have.
    """

    def __init__(
        self,
        in_channels: Size,
        out_channels: Size,
        kernel: Size = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int | Literal["depthwise"] = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        kernels = kernel.sizes if isinstance(kernel, Elastic) else (kernel,)
        if any(k % 2 == 0 for k in kernels):
            raise SpaceError(f"ElasticConv2d: kernels are odd, got {list(kernels)}")
        is_open = isinstance(in_channels, Elastic) or isinstance(out_channels, Elastic)
        if groups == "depthwise" and in_channels != out_channels:
            raise SpaceError("ElasticConv2d: a depthwise convolution makes the channels it reads")
        if is_open and groups not in (1, "depthwise"):
            raise SpaceError(f"ElasticConv2d: groups={groups} needs fixed channels; use 1 or 'depthwise'")
        self.in_channels, self.out_channels, self.kernel = in_channels, out_channels, kernel
        self.stride, self.dilation, self.groups = stride, dilation, groups
        widest = largest(kernel)
        made = nn.Conv2d(
            largest(in_channels),
            largest(out_channels),
            widest,
            groups=largest(in_channels) if groups == "depthwise" else groups,
            bias=bias,
        )
        self.weight, self.bias = made.weight, made.bias

    def open_sizes(self) -> tuple[Size, ...]:
        """Input, output, kernel."""
        return self.in_channels, self.out_channels, self.kernel

    def forward(self, x: Tensor) -> Tensor:
        """(n, in, h, w) -> (n, out, ceil(h / stride), ceil(w / stride)) at this call's sizes."""
        is_depthwise = self.groups == "depthwise"
        if is_depthwise:
            count_in = x.shape[1]
        else:
            x = self._masked(x, self.in_channels, 1)
            count_in = x.shape[1]
        count_out = self._number(self.out_channels)
        if is_depthwise and count_out != count_in:
            raise PlanError(f"ElasticConv2d works on {count_out} channels, got {count_in}")
        kernel = self._decide(self.kernel)
        size = largest(self.kernel) if isinstance(kernel, Tensor) else kernel
        weight = self._cut(count_in, count_out, size)
        if isinstance(kernel, Tensor):
            weight = weight * self._kernel_gates(kernel, weight)
        bias = None if self.bias is None else self.bias[:count_out]
        padding = self.dilation * (size - 1) // 2
        groups = count_in if self.groups == "depthwise" else self.groups
        return F.conv2d(x, weight, bias, self.stride, padding, self.dilation, groups)

    def _cut(self, count_in: int, count_out: int, size: int) -> Tensor:
        start = (self.weight.shape[-1] - size) // 2
        end = start + size
        read = self.weight.shape[1] if self.groups != 1 else count_in
        return self.weight[:count_out, :read, start:end, start:end]

    def _kernel_gates(self, weights: Tensor, like: Tensor) -> Tensor:
        """``sum_i g_i M_i`` over the places of the largest kernel, (k, k)."""
        assert isinstance(self.kernel, Elastic)
        check_weights(self.kernel.label, len(self.kernel.choices), weights)
        widest = self.kernel.largest
        distance = (torch.arange(widest) - widest // 2).abs()
        radius = torch.maximum(distance[:, None], distance[None, :])
        masks = torch.stack([radius <= size // 2 for size in self.kernel.sizes]).to(like)
        return torch.einsum("i,ijk->jk", weights.to(like), masks)

    def realised(self, arch: Mapping[str, Value], *, fresh: bool) -> nn.Module:
        """An ordinary convolution."""
        count_in, count_out, size = (size_in(s, arch) for s in self.open_sizes())
        groups = count_in if self.groups == "depthwise" else self.groups
        conv = nn.Conv2d(
            count_in,
            count_out,
            size,
            stride=self.stride,
            padding=self.dilation * (size - 1) // 2,
            dilation=self.dilation,
            groups=groups,
            bias=self.bias is not None,
        )
        if not fresh:
            _copy(conv.weight, self._cut(count_in, count_out, size))
            if self.bias is not None and conv.bias is not None:
                _copy(conv.bias, self.bias[:count_out])
        return placed_like(conv, self)


class ElasticBatchNorm2d(ElasticModule):
    """Batch normalisation of the first so many channels; all widths share statistics.

    Args:
        num_features: channels.
        eps: added to the variance.
        momentum: of the running statistics; None: their plain mean.
        affine: whether there are a scale and a shift.
    """

    def __init__(
        self, num_features: Size, *, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.norm = nn.BatchNorm2d(largest(num_features), eps=eps, momentum=momentum, affine=affine)

    def open_sizes(self) -> tuple[Size, ...]:
        """The channels."""
        return (self.num_features,)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w), the same shape out."""
        count, norm = self._number(self.num_features), self.norm
        if x.shape[1] != count:
            raise PlanError(f"ElasticBatchNorm2d works on {count} channels, got {x.shape[1]}")
        mean, var = norm.running_mean, norm.running_var
        assert mean is not None and var is not None and norm.num_batches_tracked is not None
        momentum = norm.momentum
        tracks = self.training and norm.track_running_stats
        if tracks:
            norm.num_batches_tracked.add_(1)
            if momentum is None:
                momentum = 1.0 / float(norm.num_batches_tracked)
        weight = None if norm.weight is None else norm.weight[:count]
        bias = None if norm.bias is None else norm.bias[:count]
        is_kept = tracks or not self.training
        return F.batch_norm(
            x,
            mean[:count] if is_kept else None,
            var[:count] if is_kept else None,
            weight,
            bias,
            self.training,
            momentum or 0.0,
            norm.eps,
        )

    def realised(self, arch: Mapping[str, Value], *, fresh: bool) -> nn.Module:
        """An ordinary batch normalisation."""
        count, norm = size_in(self.num_features, arch), self.norm
        made = nn.BatchNorm2d(count, eps=norm.eps, momentum=norm.momentum, affine=norm.affine)
        if not fresh:
            state = {
                name: tensor if tensor.ndim == 0 else tensor[:count]
                for name, tensor in norm.state_dict().items()
            }
            made.load_state_dict(state)
        return placed_like(made, self)


class ElasticLinear(ElasticModule):
    """A linear layer with open numbers of features.

    Args:
        in_features: features it reads, the last dimension; after ``flatten`` of (c, h, w) they are
            ``channels * (h * w)``.
        out_features: features it makes.
        bias: whether there is one.
    """

    def __init__(self, in_features: Size, out_features: Size, *, bias: bool = True) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        made = nn.Linear(largest(in_features), largest(out_features), bias=bias)
        self.weight, self.bias = made.weight, made.bias

    def open_sizes(self) -> tuple[Size, ...]:
        """Input, output."""
        return self.in_features, self.out_features

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out) at this call's sizes."""
        x = self._masked(x, self.in_features, x.ndim - 1)
        count_out = self._number(self.out_features)
        bias = None if self.bias is None else self.bias[:count_out]
        return F.linear(x, self.weight[:count_out, : x.shape[-1]], bias)

    def realised(self, arch: Mapping[str, Value], *, fresh: bool) -> nn.Module:
        """An ordinary linear layer."""
        count_in, count_out = (size_in(s, arch) for s in self.open_sizes())
        linear = nn.Linear(count_in, count_out, bias=self.bias is not None)
        if not fresh:
            _copy(linear.weight, self.weight[:count_out, :count_in])
            if self.bias is not None:
                _copy(linear.bias, self.bias[:count_out])
        return placed_like(linear, self)


def _copy(to: Tensor, source: Tensor) -> None:
    with torch.no_grad():
        to.copy_(source)
