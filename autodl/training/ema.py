"""Exponential moving average of a network's weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

Averaging = Callable[[Any, Any, Tensor | int], None]


def averaged(net: nn.Module, decay: float) -> AveragedModel:
    """A running average of ``net``'s weights and buffers; call ``update_parameters`` each step.

    The decay warms up as min(decay, (1 + n) / (10 + n)) after n updates, so that a training of a
    few hundred steps is not stuck at its initial weights.

    Source: Polyak and Juditsky, Acceleration of Stochastic Approximation by Averaging, 1992; the
    warm-up as in TensorFlow's ``ExponentialMovingAverage(num_updates=...)``.
    """
    return AveragedModel(net, multi_avg_fn=_averaging(decay), use_buffers=True)


def _averaging(decay: float) -> Averaging:
    @torch.no_grad()
    def average(averages: Any, current: Any, updates: Tensor | int) -> None:
        number = int(updates)
        weight = 1 - min(decay, (1 + number) / (10 + number))
        if torch.is_floating_point(averages[0]):
            torch._foreach_lerp_(averages, current, weight)
        else:  # counters such as BatchNorm's num_batches_tracked
            torch._foreach_copy_(averages, current)

    return average
