"""One optimisation step, in as many parts as memory allows."""

from __future__ import annotations

import copy
import math
from concurrent.futures import ThreadPoolExecutor, wait

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

    With ``options.replicas`` on a CPU, as many threads each run a part of the batch through a copy of
    the network that shares its weights, and wait for each other once a step instead of several times
    a layer. Batch normalisation then sees a thread's part alone, and its running statistics are those
    of the first part.

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
        self.replicas = make_replicas(net, options.replicas if device.type == "cpu" else 1)
        helpers = len(self.replicas) - 1
        self._pool = ThreadPoolExecutor(helpers, initializer=one_thread) if helpers else None
        self._check_every = 1 if device.type == "cpu" else CHECK_EVERY
        self.begin_epoch(0)

    def begin_epoch(self, epoch: int) -> None:
        """Set training mode and start a new mean of the loss."""
        for replica in self.replicas:
            set_train_mode(replica)
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

    def close(self) -> None:
        """End the helping threads."""
        if self._pool is not None:
            self._pool.shutdown(wait=True)

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
        total, count = len(mixed.images), len(self.replicas)
        if self._pool is None or total < FEWEST_IMAGES * count:
            return self._backward_share(self.net, mixed, total)
        size = -(-total // count)
        shares = [mixed.part(start, min(start + size, total)) for start in range(0, total, size)]
        futures = [
            self._pool.submit(self._backward_share, replica, share, total)
            for replica, share in zip(self.replicas[1:], shares[1:], strict=False)
        ]
        try:
            losses = [self._backward_share(self.net, shares[0], total)]
        finally:
            wait(futures)  # nobody may write gradients any more, whatever happened here
        return torch.stack([*losses, *(future.result() for future in futures)]).sum()

    def _backward_share(self, net: nn.Module, share: Mixed, total: int) -> Tensor:
        """Gradients of one thread's images, in parts; their contribution to the mean loss."""
        size = -(-len(share.images) // self.parts)
        losses = []
        for start in range(0, len(share.images), size):
            piece = share.part(start, start + size)
            with self.plan.autocast(self.device):
                logits = net(piece.images)
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


def make_replicas(net: nn.Module, count: int) -> tuple[nn.Module, ...]:
    """The network, and copies of it that share its parameters but not its buffers."""
    shared = {id(parameter): parameter for parameter in net.parameters()}
    return (net, *(copy.deepcopy(net, dict(shared)) for _ in range(count - 1)))


def one_thread() -> None:
    """Let this thread's kernels stay on it."""
    torch.set_num_threads(1)


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
