"""Train a whole network: from random weights, or on from pretrained ones."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from autodl.executors.cutoff import TrialInterrupted
from autodl.models import Classifier
from autodl.rng import derive_seed
from autodl.spaces import SearchSpace
from autodl.tasks.augment_choice import base_augmentation, make_augmentation
from autodl.tasks.ensemble_network import NetworkSpec
from autodl.tasks.member import Member
from autodl.tasks.network_choice import (
    WholeNetwork,
    build_arguments,
    build_net,
    default_batch_size,
    flips_allowed,
    start_from_linear_probe,
)
from autodl.tasks.run_data import RunData
from autodl.tasks.trial_context import TrialContext, TrialReporter, monotonic_deadline, planned_epochs
from autodl.training import (
    Augmentation,
    EpochResult,
    PixelBatches,
    PrecisionPlan,
    Preprocess,
    TrainOptions,
    TrainResult,
    eval_batches,
    measure_precision,
    pick_device,
    predict_probs,
    train_network,
)
from autodl.training.parallel import torch_threads
from autodl.trial import Config

CHECKPOINT_EVERY_S = 10.0

CROWDED = 0.4
"""Part of the fastest epoch's speed below which the machine counts as busy with other things."""

FEWEST_FOR_REPLICA = 16
"""Images of a batch that a thread must get for itself: batch normalisation sees no others."""

WRITE_RESERVE_S = 0.5


def train_whole_network(context: TrialContext, config: Config, reporter: TrialReporter) -> None:
    """Train as a config says, report each epoch, leave a `Member` behind."""
    started = time.monotonic()
    data = RunData.open(context.cache)
    values = WholeNetwork(**context.values(config, **build_arguments(data)))
    net, spec = build_net(context, config, values, data, seed=derive_seed(reporter.seed, "weights"))
    if values.weights:
        start_from_linear_probe(context, data, values, net)
    ending = Ending(reporter, context.metric.name)
    result = _train(context, data, values, net, spec, ending, started)
    rows, probs = data.validation_rows(), result.val_probs
    flips = flips_allowed(values)
    if flips and _time_for_second_look(reporter, len(rows), result.precision):
        preprocess = Preprocess.of(spec.preprocessing)
        probs = predict_probs(
            net, data.pixels, rows, preprocess=preprocess, precision=result.precision, tta=True
        )
    member = Member(reporter.trial_id, spec, False, flips, rows, np.asarray(probs, np.float32))
    member.save(reporter.checkpoint_dir, net.state_dict())
    ending.carry_out()


def _train(  # the parts of one training, made by the caller
    context: TrialContext,
    data: RunData,
    values: WholeNetwork,
    net: Classifier,
    spec: NetworkSpec,
    ending: Ending,
    started: float,
) -> TrainResult:
    """Plan the epochs and train; `net` holds the best weights afterwards."""
    reporter, device = ending.reporter, pick_device()
    batch_size = context.batch_size or default_batch_size(len(data.training_rows()))
    batches = PixelBatches(data.pixels, data.labels, data.training_rows(), batch_size, shuffle=True)
    preprocess = Preprocess.of(spec.preprocessing)
    speed = _measure(
        net.to(device), batches, preprocess, context.training.precision, in_a_hurry=context.in_a_hurry
    )
    budget_s = context.budget_s(reporter)
    left_s = None if budget_s is None else budget_s - (time.monotonic() - started)
    without_limit = context.preset.finetune_epochs if values.weights else context.preset.epochs
    epochs = planned_epochs(context, left_s, epoch_seconds(data, speed.plan), without_limit)
    deadline = monotonic_deadline(reporter, WRITE_RESERVE_S + 0.02 * (reporter.time_left_s or 0.0))
    if deadline is not None and budget_s is not None and context.epochs is None:
        deadline = min(deadline, started + budget_s)
    with torch_threads(speed.threads):
        return train_network(
            net,
            train_batches=batches,
            val_batches=eval_batches(data.pixels, data.validation_rows(), data.labels),
            preprocess=preprocess,
            optimizer_factory=values.optimizer,
            options=_options(context, values, epochs, batch_size, speed),
            augmentation=_augmentation(context, values, spec.preprocessing.input_size, data.pixels.shape[1]),
            metric=context.metric,
            class_weight=None if context.class_weights is None else np.asarray(context.class_weights),
            seed=reporter.seed,
            device=device,
            on_epoch=ending.on_epoch,
            deadline=deadline,
            checkpoint=ThrottledCheckpoints(reporter),
        )


def images_per_s(context: TrialContext, data: RunData, seed: int) -> float:
    """Measured training speed of the default network of a context's first recipe."""
    recipe = dict(next(iter(context.recipes.values())))
    config = SearchSpace(recipe).default
    values = WholeNetwork(**context.values(config, **build_arguments(data)))
    net, spec = build_net(context, config, values, data, seed=seed)
    rows = data.training_rows()
    size = context.batch_size or default_batch_size(len(rows))
    batches = PixelBatches(data.pixels, data.labels, rows, size)
    preprocess = Preprocess.of(spec.preprocessing)
    speed = _measure(net.to(pick_device()), batches, preprocess, context.training.precision, in_a_hurry=True)
    return speed.plan.images_per_s or 1.0


def _augmentation(
    context: TrialContext, values: WholeNetwork, input_size: int, cache_size: int
) -> Augmentation | None:
    base = base_augmentation(input_size, cache_size, flip=flips_allowed(values), cutout=values.cutout)
    return make_augmentation(values.augment, base, cache_size, context.policy)


class Ending:
    """Reports epochs; when the driver ends the trial, lets its best weights be written first.

    Args:
        reporter: of the trial.
        metric: name of what is reported.
    """

    def __init__(self, reporter: TrialReporter, metric: str) -> None:
        self.reporter, self.metric = reporter, metric
        self._interruption: TrialInterrupted | None = None
        self._fastest = 0.0

    def on_epoch(self, result: EpochResult) -> bool | None:
        """Report; False ends the training."""
        self._watch_speed(result.images_per_s)
        measured = {
            self.metric: result.value,
            "val_loss": result.val_loss,
            "train_loss": result.train_loss,
            "images_per_s": result.images_per_s,
        }
        try:
            self.reporter(epoch=result.epoch, **measured)
        except TrialInterrupted as interruption:
            self._interruption = interruption
            return False
        return None

    def _watch_speed(self, images_per_s: float) -> None:
        """Go on with one thread when others have taken a core: several would wait for each other."""
        self._fastest = max(self._fastest, images_per_s)
        if self.reporter.time_left_s is not None and images_per_s < CROWDED * self._fastest:
            torch.set_num_threads(1)

    def carry_out(self) -> None:
        """End the trial now, if the driver wanted it."""
        if self._interruption is not None:
            raise self._interruption


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


@dataclass(frozen=True, slots=True)
class Speed:
    """How a network is trained fastest here.

    Attributes:
        plan: precision and layout, with the images a second that all threads together may reach.
        threads: threads inside torch's kernels.
        replicas: threads that take a part of each batch.
    """

    plan: PrecisionPlan
    threads: int
    replicas: int = 1


def _measure(
    net: nn.Module, batches: PixelBatches, preprocess: Preprocess, precision: str, *, in_a_hurry: bool
) -> Speed:
    """Time a few steps.

    Threads are used otherwise than torch does by itself only under a time limit: their number changes
    the last digits of sums, and without a limit the same seed is to give the same result.
    """
    images, _ = batches.gather(batches.rows[: batches.batch_size])
    if preprocess.view is not None:
        images = preprocess.view(images)
    device = next(net.parameters()).device
    example = preprocess.normalise(images.to(device), torch.float32, channels_last=True)
    threads = torch.get_num_threads()
    if not in_a_hurry or threads == 1 or device.type != "cpu":
        return Speed(measure_precision(net, example, train=True, precision=precision), threads)
    with torch_threads(1):
        alone = measure_precision(net, example, train=True, precision=precision)
    if batches.batch_size >= FEWEST_FOR_REPLICA * threads:
        together = (alone.images_per_s or 0.0) * threads
        return Speed(replace(alone, images_per_s=together), 1, threads)
    plan = measure_precision(net, example, train=True, precision=precision)
    if (alone.images_per_s or 0.0) > (plan.images_per_s or 0.0):
        return Speed(alone, 1)
    return Speed(plan, threads)


def _options(
    context: TrialContext, values: WholeNetwork, epochs: int, batch_size: int, speed: Speed
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
        precision=speed.plan,
        replicas=speed.replicas,
        backbone_lr_scale=values.backbone_lr_scale,
    )


def _time_for_second_look(reporter: TrialReporter, num_rows: int, plan: PrecisionPlan) -> bool:
    """Whether mirrored predictions of the validation rows fit into the time left."""
    left = reporter.time_left_s
    expected_s = num_rows / max(plan.images_per_s or 1.0, 1e-9)
    return left is None or left > WRITE_RESERVE_S + 2 * expected_s
