"""Plain training and scoring of small networks on tensors."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from autodl.checks import check_whole
from autodl.nas.data import NASData, Part


@dataclass(frozen=True, slots=True)
class FitOptions:
    """How a network is trained.

    Args:
        epochs: passes over the training part.
        lr: of Nesterov SGD at the start; falls to 0 along half a cosine.
        momentum: of SGD.
        weight_decay: of SGD.
        clip_norm: largest norm of the gradient, or None.
    """

    epochs: int = 20
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 3e-4
    clip_norm: float | None = 5.0

    def __post_init__(self) -> None:
        check_whole("epochs", self.epochs)

    def optimizer(self, net: nn.Module) -> torch.optim.SGD | None:
        """SGD over the weights; None for a network that has none."""
        weights = [weight for weight in net.parameters() if weight.requires_grad]
        if not weights:
            return None
        return torch.optim.SGD(
            weights,
            lr=self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            nesterov=self.momentum > 0,
        )


def fit(
    net: nn.Module,
    data: NASData,
    options: FitOptions,
    generator: torch.Generator,
    until: Callable[[], bool] = lambda: False,
) -> float:
    """Train a network on the training part; returns seconds.

    Args:
        net: an ordinary network that gives (n, classes); changed in place.
        data: images.
        options: how.
        generator: of the order of images.
        until: asked after every minibatch; True ends the training.
    """
    start = time.perf_counter()
    optimizer = options.optimizer(net)
    for epoch in range(options.epochs if optimizer else 0):
        assert optimizer is not None
        if not fit_epoch(net, data, options, optimizer, epoch, generator, until):
            break
    return time.perf_counter() - start


def fit_epoch(
    net: nn.Module,
    data: NASData,
    options: FitOptions,
    optimizer: torch.optim.Optimizer,
    epoch: int,
    generator: torch.Generator,
    until: Callable[[], bool] = lambda: False,
) -> bool:
    """One pass over the training part; returns False where ``until`` ended it.

    Args:
        net: see `fit`.
        data: images.
        options: how.
        optimizer: that `options` made, with what it remembers of earlier epochs.
        epoch: from 0; the learning rate depends on it.
        generator: of the order of images.
        until: asked after every minibatch; True ends the training.
    """
    total = options.epochs * data.num_batches()
    net.train()
    for number, (x, y) in enumerate(data.epoch("train", generator)):
        step = epoch * data.num_batches() + number
        set_lr(optimizer, options.lr * 0.5 * (1 + math.cos(math.pi * step / total)))
        weights_step(net, optimizer, F.cross_entropy(net(x), y), options.clip_norm)
        if until():
            return False
    return True


def weights_step(
    net: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor, clip_norm: float | None = None
) -> None:
    """One step down a loss; weights that it did not use (gradient None) stay where they are."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    if clip_norm is not None:
        nn.utils.clip_grad_norm_(net.parameters(), clip_norm)
    optimizer.step()


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of every group."""
    for group in optimizer.param_groups:
        group["lr"] = lr


@torch.no_grad()
def accuracy(net: nn.Module, data: NASData, part: Part = "val") -> float:
    """The share of images that a network names rightly, in its evaluation mode.

    Args:
        net: gives (n, classes); its mode is put back.
        data: images.
        part: which.
    """
    was_training = net.training
    net.eval()
    try:
        right = sum(int((net(x).argmax(1) == y).sum()) for x, y in data.in_order(part))
    finally:
        net.train(was_training)
    return right / data.count(part)
