"""What a training is told and what it tells: plain frozen records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from autodl.errors import OptionError
from autodl.models.classifier import Classifier
from autodl.training.device import PLANS, PrecisionPlan

State = dict[str, Any]
OptimizerFactory = Callable[[Any], Optimizer]


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """How to train.

    Args:
        epochs: passes over the training images.
        batch_size: images a step; the caller builds its `PixelBatches` with it.
        label_smoothing: 0..1, share of the target spread over all classes.
        mixup: alpha of MixUp, 0 for none.
        cutmix: alpha of CutMix, 0 for none.
        ema_decay: decay of the weights' running average (it is what is validated and kept), or None.
        clip_norm: largest norm of the gradient, or None.
        warmup_fraction: share of the training in which the learning rate rises.
        patience: epochs without a better validation after which to stop, or None.
        precision: "auto" (measured), "fp32", "bf16" or a `PrecisionPlan` measured before.
        backbone_lr_scale: the backbone's learning rate over the head's (`Classifier` only).
        decay_norms: whether weight decay also pulls at biases and normalisation weights.
        replicas: on a CPU, threads that each take a part of every batch; see `TrainStep`.
    """

    epochs: int = 30
    batch_size: int = 128
    label_smoothing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    ema_decay: float | None = None
    clip_norm: float | None = None
    warmup_fraction: float = 0.1
    patience: int | None = None
    precision: str | PrecisionPlan = "auto"
    backbone_lr_scale: float = 1.0
    decay_norms: bool = False
    replicas: int = 1

    def __post_init__(self) -> None:
        wrong = [f"{name} must {rule}, got {value!r}" for name, rule, value, ok in self._rules() if not ok]
        if wrong:
            raise OptionError("; ".join(wrong))

    def _rules(self) -> Iterable[tuple[str, str, object, bool]]:
        precise = isinstance(self.precision, PrecisionPlan) or self.precision in ("auto", *PLANS)
        ema, clip, patience = self.ema_decay, self.clip_norm, self.patience
        yield "epochs", "be >= 1", self.epochs, self.epochs >= 1
        yield "replicas", "be >= 1", self.replicas, self.replicas >= 1
        yield "batch_size", "be >= 1", self.batch_size, self.batch_size >= 1
        yield "label_smoothing", "lie in [0, 1)", self.label_smoothing, 0 <= self.label_smoothing < 1
        yield "mixup", "be >= 0", self.mixup, self.mixup >= 0
        yield "cutmix", "be >= 0", self.cutmix, self.cutmix >= 0
        yield "ema_decay", "lie in [0, 1)", ema, ema is None or 0 <= ema < 1
        yield "clip_norm", "be > 0", clip, clip is None or clip > 0
        yield "warmup_fraction", "lie in [0, 1)", self.warmup_fraction, 0 <= self.warmup_fraction < 1
        yield "patience", "be >= 1", patience, patience is None or patience >= 1
        yield "precision", "be auto, fp32, bf16 or a PrecisionPlan", self.precision, precise
        yield "backbone_lr_scale", "be > 0", self.backbone_lr_scale, self.backbone_lr_scale > 0


@dataclass(frozen=True, slots=True)
class EpochResult:
    """What one epoch came to.

    Args:
        epoch: from 1.
        epochs: planned in all.
        train_loss: mean over the epoch's steps.
        value: the validation metric.
        val_loss: validation log loss.
        val_accuracy: validation accuracy.
        lr: the largest learning rate of the last step.
        images_per_s: training speed, evaluation left out.
        seconds: the epoch with its evaluation.
        improved: whether this is the best so far.
    """

    epoch: int
    epochs: int
    train_loss: float
    value: float
    val_loss: float
    val_accuracy: float
    lr: float
    images_per_s: float
    seconds: float
    improved: bool


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a training came to.

    Args:
        best_state: the best weights, on the CPU; the network itself holds them, too.
        best_epoch: from 1.
        best_value: validation metric of these weights.
        val_probs: (n, k) float32 validation probabilities of these weights.
        history: one entry an epoch.
        stopped_by: "epochs", "deadline", "patience" or "callback".
        precision: the plan that was used, for the next training of the same network.
        batch_parts: parts each batch was split into for want of memory (1: none).
    """

    best_state: Mapping[str, Tensor]
    best_epoch: int
    best_value: float
    val_probs: NDArray[np.float32]
    history: tuple[EpochResult, ...]
    stopped_by: str
    precision: PrecisionPlan
    batch_parts: int = 1


class CheckpointStore(Protocol):
    """Where a training's state goes after each epoch; a tuner's reporter is one."""

    def save(self, state: State) -> object:
        """Keep a state of plain values and tensors, in place of the last one."""

    def load(self) -> State | None:
        """The state kept last, or None."""


def parameter_groups(net: nn.Module, options: TrainOptions) -> list[dict[str, Any]]:
    """The trainable parameters as an optimizer's groups.

    Biases and normalisation weights get no weight decay (unless ``decay_norms``), and the backbone
    a learning rate of its own; each group carries its ``lr_scale``.

    Source: He et al., Bag of Tricks for Image Classification with CNNs, 2019, section 3.1.
    """
    head = {id(p) for p in net.head.parameters()} if isinstance(net, Classifier) else set()
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in net.parameters():
        if parameter.requires_grad:
            decays = options.decay_norms or parameter.ndim > 1
            in_head = not head or id(parameter) in head
            groups.setdefault((in_head, decays), []).append(parameter)
    if not groups:
        raise OptionError("the network has no trainable parameter; unfreeze its head at least")
    return [
        {
            "params": parameters,
            "lr_scale": 1.0 if in_head else options.backbone_lr_scale,
            **({} if decays else {"weight_decay": 0.0}),
        }
        for (in_head, decays), parameters in groups.items()
    ]
