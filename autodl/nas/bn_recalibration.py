"""Statistics of batch normalisation for one architecture of a super-net.

A super-net's running statistics average over all architectures that were trained, and fit none.
Without fresh ones the ranking of architectures is close to noise (Yu and Huang, "Universally
Slimmable Networks", 2019, section 3.4).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from autodl.nas.elastic_layers import ElasticBatchNorm2d


@torch.no_grad()
def recalibrate(net: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace running statistics by plain means over batches; weights and modes stay.

    Everything but batch normalisation runs in evaluation mode. A super-net must be active under a
    plan; layers that the plan does not run are left reset.

    Args:
        net: an ordinary network, or a super-net under a plan.
        batches: inputs, training images.
    """
    norms = [module for module in net.modules() if isinstance(module, _BatchNorm) and _has_statistics(module)]
    if not norms:
        return
    modes = {module: module.training for module in net.modules()}
    momenta = {norm: norm.momentum for norm in norms}
    try:
        net.eval()
        for module in modes:
            if isinstance(module, ElasticBatchNorm2d) or module in momenta:
                module.training = True
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a cumulative mean
        for batch in batches:
            net(batch)
    finally:
        for norm, momentum in momenta.items():
            norm.momentum = momentum
        for module, mode in modes.items():
            module.training = mode


def _has_statistics(norm: _BatchNorm) -> bool:
    return norm.running_mean is not None


@contextmanager
def statistics_kept(net: nn.Module) -> Iterator[None]:
    """Put running statistics back at the end of the block, whatever happened to them."""
    norms = [module for module in net.modules() if isinstance(module, _BatchNorm) and _has_statistics(module)]
    kept = [[buffer.clone() for buffer in norm.buffers()] for norm in norms]
    try:
        yield
    finally:
        with torch.no_grad():
            for norm, buffers in zip(norms, kept, strict=True):
                for buffer, before in zip(norm.buffers(), buffers, strict=True):
                    buffer.copy_(before)
