"""Train a whole network: from random weights, or on from pretrained ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer

from autodl.errors import OptionError
from autodl.executors.cutoff import TrialInterrupted
from autodl.models import Classifier, build_network, wrap_module
from autodl.rng import derive_seed
from autodl.tasks.ensemble_network import NetworkSpec
from autodl.tasks.feature_store import FeatureStore
from autodl.tasks.member import Member
from autodl.tasks.run_data import RunData
from autodl.tasks.trial_context import TrialContext, TrialReporter, monotonic_deadline, planned_epochs
from autodl.training import (
    Augmentation,
    EpochResult,
    PadCropFlip,
    PixelBatches,
    PrecisionPlan,
    Preprocess,
    RandomResizedCropFlip,
    TrainOptions,
    TrivialAugment,
    eval_batches,
    measure_precision,
    pick_device,
    predict_probs,
    train_head,
    train_network,
)
from autodl.trial import Config

CHECKPOINT_EVERY_S = 10.0
WRITE_RESERVE_S = 0.5
AUGMENTATIONS = ("none", "crop", "standard", "trivial")


@dataclass(frozen=True)
class WholeNetwork:
    """A config's values for training a whole network.

    Attributes:
        net: a network's name, a module, or the arguments of one (``{"name": ..., **options}``).
        optimizer: parameter groups to an optimizer.
        augment: a name of `AUGMENTATIONS` or an augmentation.
        flip: whether a mirrored image keeps its class (used by "standard" and "trivial").
        cutout: part of the side that a grey square covers, in [0, 1).
        label_smoothing: in [0, 1).
        mixup: alpha, 0 = off.
        cutmix: alpha, 0 = off.
        ema_decay: 0 = off.
        weights: None, "pretrained", or a path.
        dropout: of features before the head.
        backbone_lr_scale: learning rate of the backbone over that of the head.
    """

    net: Any
    optimizer: Callable[[Any], Optimizer]
    augment: Any = "standard"
    flip: bool = True
    cutout: float = 0.0
    label_smoothing: float = 0.1
    mixup: float = 0.0
    cutmix: float = 0.0
    ema_decay: float = 0.0
    weights: str | Path | None = None
    dropout: float = 0.0
    backbone_lr_scale: float = 1.0


def train_whole_network(context: TrialContext, config: Config, reporter: TrialReporter) -> None:
    """Train as a config says, report each epoch, leave a `Member` behind."""
    started = time.monotonic()
    data = RunData.open(context.cache)
    values = WholeNetwork(**context.values(config, **build_arguments(data)))
    net, spec = build_net(context, config, values, data, seed=derive_seed(reporter.seed, "weights"))
    if values.weights:
        start_from_linear_probe(context, data, values, net)
    device = pick_device()
    batch_size = context.batch_size or default_batch_size(len(data.training_rows()))
    batches = PixelBatches(data.pixels, data.labels, data.training_rows(), batch_size, shuffle=True)
    preprocess = Preprocess.of(spec.preprocessing)
    augmentation = make_augmentation(values, spec.preprocessing.input_size, data.pixels.shape[1])
    plan = _measure(net.to(device), batches, preprocess, context.training.precision, device)
    budget_s = context.budget_s(reporter)
    spent_s = time.monotonic() - started
    epochs = planned_epochs(
        context,
        None if budget_s is None else budget_s - spent_s,
        epoch_seconds(data, plan),
        context.preset.finetune_epochs if values.weights else context.preset.epochs,
    )
    deadline = monotonic_deadline(reporter, WRITE_RESERVE_S + 0.02 * (reporter.time_left_s or 0.0))
    if deadline is not None and budget_s is not None and context.epochs is None:
        deadline = min(deadline, started + budget_s)
    ending = Ending()
    result = train_network(
        net,
        train_batches=batches,
        val_batches=eval_batches(data.pixels, data.validation_rows(), data.labels),
        preprocess=preprocess,
        optimizer_factory=values.optimizer,
        options=_options(context, values, epochs, batch_size, plan),
        augmentation=augmentation,
        metric=context.metric,
        class_weight=None if context.class_weights is None else np.asarray(context.class_weights),
        seed=reporter.seed,
        device=device,
        on_epoch=_report(reporter, context.metric.name, ending),
        deadline=deadline,
        checkpoint=ThrottledCheckpoints(reporter),
    )
    flips = flips_allowed(values)
    rows = data.validation_rows()
    probs = result.val_probs
    if flips and _time_for_second_look(reporter, len(rows), plan):
        probs = predict_probs(net, data.pixels, rows, preprocess=preprocess, precision=plan, tta=True)
    member = Member(reporter.trial_id, spec, False, flips, rows, np.asarray(probs, np.float32))
    member.save(reporter.checkpoint_dir, net.state_dict())
    if ending.interruption is not None:
        raise ending.interruption


class Ending:
    """Remembers that the driver ended the trial, until its best weights are written."""

    interruption: TrialInterrupted | None = None


def build_arguments(data: RunData) -> dict[str, Any]:
    """What a user's decorated network may ask for in its constructor."""
    return {"num_classes": data.num_classes, "input_size": data.facts["input_size"]}


def build_net(
    context: TrialContext, config: Config, values: WholeNetwork, data: RunData, *, seed: int
) -> tuple[Classifier, NetworkSpec]:
    """The network of a config, and the record from which it can be built again.

    A user's own module keeps the initial weights its author gave it.
    """
    classes, size = data.num_classes, int(data.facts["input_size"])
    if isinstance(values.net, nn.Module):
        wrapped = wrap_module(values.net, classes, size, 3)
        name, arguments = context.origin_of("net", config, **build_arguments(data))
        name = name or f"{type(values.net).__module__}:{type(values.net).__qualname__}"
        return wrapped, NetworkSpec(name, arguments, classes, wrapped.preprocessing, user_defined=True)
    options = {"name": values.net} if isinstance(values.net, str) else dict(values.net)
    name = options.pop("name")
    net = build_network(
        name, classes, input_size=size, weights=values.weights, dropout=values.dropout, seed=seed, **options
    )
    return net, NetworkSpec(name, options, classes, net.preprocessing)


def start_from_linear_probe(
    context: TrialContext, data: RunData, values: WholeNetwork, net: Classifier
) -> None:
    """Give a pretrained network the head that its frozen features want, if they were computed already.

    Source: A. Kumar et al., "Fine-Tuning can Distort Pretrained Features and Underperform
    Out-of-Distribution", ICLR 2022 (linear probing, then fine-tuning).
    """
    assert values.weights is not None
    store = FeatureStore(context.cache, data, str(values.net), values.weights, net)
    table = store.find("centre")
    if table is None or not net.splits:
        return
    rows = table.rows[: table.rows_done]
    mine = np.flatnonzero(data.folds[rows] != 0)
    head = train_head(
        table.view("centre")[mine], data.labels[rows[mine]], num_classes=data.num_classes
    ).to_linear()
    net.head.load_state_dict(head.state_dict())


def make_augmentation(values: WholeNetwork, input_size: int, cache_size: int) -> Augmentation | None:
    """The augmentation a config names.

    Raises:
        OptionError: no such name.
    """
    if not isinstance(values.augment, str):
        return values.augment  # type: ignore[no-any-return]  # the caller's own, or None
    if values.augment == "none":
        return None
    if values.augment not in AUGMENTATIONS:
        raise OptionError(f"unknown augment {values.augment!r}; known: {', '.join(AUGMENTATIONS)}")
    flip = flips_allowed(values)
    if cache_size > input_size:
        base: Augmentation = RandomResizedCropFlip(input_size, flip=flip)
    else:
        base = PadCropFlip(pad=max(1, input_size // 8), cutout=round(values.cutout * input_size), flip=flip)
    return TrivialAugment(then=base) if values.augment == "trivial" else base


def flips_allowed(values: WholeNetwork) -> bool:
    """Whether training mirrors images, so that predictions may, too."""
    return values.flip and isinstance(values.augment, str) and values.augment in ("standard", "trivial")


def default_batch_size(num_images: int) -> int:
    """A power of two that leaves some twenty steps an epoch, between 16 and 128."""
    size = 16
    while size < 128 and num_images >= 40 * size:
        size *= 2
    return size


def epoch_seconds(data: RunData, plan: PrecisionPlan) -> float:
    """Expected seconds of one epoch; validation costs about a third of training per image."""
    work = len(data.training_rows()) + len(data.validation_rows()) / 3
    return work / max(plan.images_per_s or 1.0, 1e-9)


class ThrottledCheckpoints:
    """Writes a checkpoint at most every few seconds: small networks have epochs shorter than a write."""

    def __init__(self, reporter: TrialReporter) -> None:
        self.reporter = reporter
        self.written_at = time.monotonic()

    def save(self, state: Any) -> object:
        """Keep the state, or leave it if the last one is recent."""
        if time.monotonic() - self.written_at < CHECKPOINT_EVERY_S:
            return None
        kept = self.reporter.save(state)
        self.written_at = time.monotonic()
        return kept

    def load(self) -> Any:
        """The state kept last."""
        return self.reporter.load()


def _measure(
    net: nn.Module, batches: PixelBatches, preprocess: Preprocess, precision: str, device: torch.device
) -> PrecisionPlan:
    """The plan with its speed, which the number of epochs is derived from."""
    images, _ = batches.gather(batches.rows[: batches.batch_size])
    if preprocess.view is not None:
        images = preprocess.view(images)
    example = preprocess.normalise(images.to(device), torch.float32, channels_last=True)
    return measure_precision(net, example, train=True, precision=precision)


def _options(
    context: TrialContext, values: WholeNetwork, epochs: int, batch_size: int, plan: PrecisionPlan
) -> TrainOptions:
    """The caller's training options win over the config's."""
    fixed = context.training

    def pick(ours: float | None, searched: float) -> float:
        return searched if ours is None else ours

    ema = pick(fixed.ema_decay, values.ema_decay)
    return TrainOptions(
        epochs=epochs,
        batch_size=batch_size,
        label_smoothing=pick(fixed.label_smoothing, values.label_smoothing),
        mixup=pick(fixed.mixup, values.mixup),
        cutmix=pick(fixed.cutmix, values.cutmix),
        ema_decay=ema or None,
        clip_norm=fixed.clip_norm,
        warmup_fraction=fixed.warmup_fraction,
        patience=fixed.patience,
        precision=plan,
        backbone_lr_scale=values.backbone_lr_scale,
    )


def _report(reporter: TrialReporter, metric: str, ending: Ending) -> Callable[[EpochResult], bool | None]:
    def report(result: EpochResult) -> bool | None:
        measured = {
            metric: result.value,
            "val_loss": result.val_loss,
            "train_loss": result.train_loss,
            "images_per_s": result.images_per_s,
        }
        try:
            reporter(epoch=result.epoch, **measured)
        except TrialInterrupted as interruption:
            ending.interruption = interruption
            return False
        return None

    return report


def _time_for_second_look(reporter: TrialReporter, num_rows: int, plan: PrecisionPlan) -> bool:
    """Whether mirrored predictions of the validation rows fit into the time left."""
    left = reporter.time_left_s
    expected_s = num_rows / max(plan.images_per_s or 1.0, 1e-9)
    return left is None or left > WRITE_RESERVE_S + 2 * expected_s
