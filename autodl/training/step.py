"""One optimisation step, in as many parts as memory allows."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from autodl.errors import TrialError
from autodl.training.device import PrecisionPlan
from autodl.training.mixing import BatchMixer, Mixed
from autodl.training.options import TrainOptions

# Reading a loss from a GPU waits for it; once in so many steps is soon enough to see a NaN.
CHECK_EVERY = 16
FEWEST_IMAGES = 2  # batch normalisation cannot train on one


class TrainStep:
    """Forward, backward, clip, update; splits the batch when memory does not suffice.

    Args:
        net: on ``device``, prepared for ``plan``.
        optimizer: over ``net``'s trainable parameters.
        options: loss, mixing and clipping.
        plan: precision and layout.
        class_weight: (k,) or None.
        device: where the step runs.
    """

    def __init__(  # built in one place, from what that place has
        self,
        net: nn.Module,
        optimizer: Optimizer,
        options: TrainOptions,
        plan: PrecisionPlan,
        class_weight: Tensor | None,
        device: torch.device,
    ) -> None:
        self.net, self.optimizer, self.options, self.plan = net, optimizer, options, plan
        self.class_weight = None if class_weight is None else class_weight.to(device)
        self.device = device
        self.mixer = BatchMixer(options.mixup, options.cutmix)
        self.parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self.parts = 1
        self._check_every = 1 if device.type == "cpu" else CHECK_EVERY
        self.begin_epoch(0)

    def begin_epoch(self, epoch: int) -> None:
        """Set training mode and start a new mean of the loss."""
        set_train_mode(self.net)
        self._epoch, self._steps = epoch, 0
        self._total: Tensor | float = 0.0

    def __call__(self, inputs: Tensor, labels: Tensor, generator: torch.Generator) -> None:
        """Update the weights once.

        Args:
            inputs: (b, c, h, w) normalised, on the device.
            labels: (b,) int64, anywhere.
            generator: source of the mixing, on the CPU.

        Raises:
            TrialError: the loss is not finite, or two images do not fit in memory.
        """
        labels = labels.to(self.device, non_blocking=True)
        mixed = self.mixer(inputs, labels, generator) if self.mixer else Mixed(inputs, labels, labels, 1.0)
        loss = self._backward_in_parts(mixed)
        self._steps += 1
        self._total = self._total + (loss.item() if self.device.type == "cpu" else loss)
        if self._steps % self._check_every == 0:
            self._check_loss()
        if self.options.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.options.clip_norm)
        self.optimizer.step()

    def mean_loss(self) -> float:
        """Mean over the steps since `begin_epoch`; NaN before the first."""
        self._check_loss()
        return float(self._total) / self._steps if self._steps else math.nan

    def loss(self, logits: Tensor, mixed: Mixed) -> Tensor:
        """Smoothed, weighted cross-entropy against both labels of a mixed batch."""
        own = self._cross_entropy(logits, mixed.labels)
        if mixed.share == 1.0:
            return own
        return mixed.share * own + (1 - mixed.share) * self._cross_entropy(logits, mixed.others)

    def _cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(
            logits.float(), labels, weight=self.class_weight, label_smoothing=self.options.label_smoothing
        )

    def _backward_in_parts(self, mixed: Mixed) -> Tensor:
        while True:
            self.optimizer.zero_grad(set_to_none=True)
            try:
                return self._backward(mixed)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if len(mixed.images) // (2 * self.parts) < FEWEST_IMAGES:
                    raise TrialError(
                        f"out of memory with {len(mixed.images) // self.parts} images at a time; "
                        "take a smaller network or input_size"
                    ) from error
            # Out here the failed attempt's tensors are no longer held by the exception.
            self.parts *= 2
            self.optimizer.zero_grad(set_to_none=True)
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def _backward(self, mixed: Mixed) -> Tensor:
        """Gradients of the whole batch, gathered part by part; the mean loss."""
        total = len(mixed.images)
        size = -(-total // self.parts)
        losses = []
        for start in range(0, total, size):
            part = slice(start, min(start + size, total))
            piece = Mixed(mixed.images[part], mixed.labels[part], mixed.others[part], mixed.share)
            with self.plan.autocast(self.device):
                logits = self.net(piece.images)
            loss = self.loss(logits, piece) * (len(piece.images) / total)
            loss.backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
        return losses[0] if len(losses) == 1 else torch.stack(losses).sum()

    def _check_loss(self) -> None:
        total = float(self._total)
        if not math.isfinite(total):
            kind = "NaN" if math.isnan(total) else "infinite"
            raise TrialError(
                f"loss is {kind} at epoch {self._epoch} step {self._steps}; lower the learning rate"
            )


def set_train_mode(net: nn.Module) -> None:
    """``net.train()``, but frozen batch normalisation keeps its statistics."""
    net.train()
    for module in net.modules():
        if isinstance(module, _BatchNorm) and module.affine and not module.weight.requires_grad:
            module.eval()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch (on any device) or Python ran out of memory."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error)
    return "can't allocate memory" in text or "out of memory" in text
