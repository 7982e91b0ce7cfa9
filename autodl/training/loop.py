"""The training loop: whole uint8 batches in, the best weights by validation out."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from autodl.errors import TrialError
from autodl.rng import derive_seed, torch_generator
from autodl.training.augmentation import Augmentation
from autodl.training.batches import PixelBatches
from autodl.training.best import BestWeights
from autodl.training.device import PLANS, PrecisionPlan, forked_rng, measure_precision, pick_device
from autodl.training.ema import averaged
from autodl.training.evaluate import predict_probs
from autodl.training.metrics import Metric, MetricFunction, accuracy, get_metric, log_loss
from autodl.training.options import (
    CheckpointStore,
    EpochResult,
    OptimizerFactory,
    State,
    TrainOptions,
    TrainResult,
    parameter_groups,
)
from autodl.training.preprocess import Preprocess
from autodl.training.schedule import Annealer, TimeBudget
from autodl.training.step import TrainStep

STATE_VERSION = 1


def train_network(  # noqa: PLR0913  # facade: what, on what, how, for how long; all keyword-only
    net: nn.Module,
    *,
    train_batches: PixelBatches,
    val_batches: PixelBatches,
    preprocess: Preprocess,
    optimizer_factory: OptimizerFactory,
    options: TrainOptions | None = None,
    augmentation: Augmentation | None = None,
    metric: str | Metric | MetricFunction = "accuracy",
    class_weight: NDArray[np.floating] | Tensor | None = None,
    seed: int = 0,
    device: torch.device | str | None = None,
    on_epoch: Callable[[EpochResult], bool | None] | None = None,
    deadline: float | None = None,
    checkpoint: CheckpointStore | None = None,
) -> TrainResult:
    """Train ``net`` in place; afterwards it holds the best weights.

    Args:
        net: (b, c, h, w) normalised images to (b, k) logits.
        train_batches: shuffled batches; their order is seeded anew from ``seed`` each epoch.
        val_batches: unshuffled batches with labels.
        preprocess: normalisation, and the view that validation sees.
        optimizer_factory: parameter groups to a torch optimizer, which sets the learning rate.
        options: how to train.
        augmentation: change of each training batch; None trains on ``preprocess``'s view.
        metric: what makes weights the best; ties go to the lower log loss.
        class_weight: (k,) factors of each class's loss, or None.
        seed: fixes order, augmentation, mixing and dropout.
        device: where to train; None picks.
        on_epoch: called after each epoch; False ends the training.
        deadline: on ``time.monotonic``'s scale: stopped and evaluated before it.
        checkpoint: the state is kept there after each epoch, and training goes on from the one
            found there, as if nothing had happened.

    Returns:
        The best weights, their validation predictions and the history.

    Raises:
        TrialError: the loss is not finite, memory does not suffice for two images, or the deadline
            leaves no time for a single step and evaluation.
    """
    trainer = Trainer(
        net,
        (train_batches, val_batches),
        preprocess,
        optimizer_factory,
        options or TrainOptions(),
        augmentation=augmentation,
        metric=get_metric(metric),
        class_weight=class_weight,
        seed=seed,
        device=pick_device(device),
        deadline=deadline,
    )
    return trainer.run(on_epoch=on_epoch, checkpoint=checkpoint)


class Trainer:
    """One training, in steps small enough to read; see `train_network` for the arguments."""

    def __init__(  # noqa: PLR0913  # built by train_network, whose arguments these are
        self,
        net: nn.Module,
        batches: tuple[PixelBatches, PixelBatches],
        preprocess: Preprocess,
        optimizer_factory: OptimizerFactory,
        options: TrainOptions,
        *,
        augmentation: Augmentation | None,
        metric: Metric,
        class_weight: NDArray[np.floating] | Tensor | None,
        seed: int,
        device: torch.device,
        deadline: float | None,
    ) -> None:
        self.net, self.options, self.metric, self.seed = net, options, metric, seed
        self.train_batches, self.val_batches = batches
        self.preprocess, self.augmentation, self.device = preprocess, augmentation, device
        eval_share = self.val_batches.num_images / self.train_batches.batch_size
        self.budget = TimeBudget(deadline, len(self.train_batches), eval_share)
        self.plan = self._plan()
        self.plan.prepare(net, device)
        self.optimizer = optimizer_factory(parameter_groups(net, options))
        self.base_lrs = [g["lr"] * g.get("lr_scale", 1.0) for g in self.optimizer.param_groups]
        self.ema = averaged(net, options.ema_decay) if options.ema_decay is not None else None
        self.annealer = Annealer(options.epochs * len(self.train_batches), options.warmup_fraction)
        weights = None if class_weight is None else torch.as_tensor(class_weight, dtype=torch.float32)
        self.step = TrainStep(net, self.optimizer, options, self.plan, weights, device)
        self.best = BestWeights(metric)
        self.history: list[EpochResult] = []

    def run(
        self, *, on_epoch: Callable[[EpochResult], bool | None] | None, checkpoint: CheckpointStore | None
    ) -> TrainResult:
        """Train until the epochs, the time or the patience are used up."""
        state = checkpoint.load() if checkpoint is not None else None
        if state is not None:
            self.load_state(state)
        stopped_by = self._early_end()
        with closing(self.step), forked_rng(self.device):
            while stopped_by is None:
                result, timed_out = self.run_epoch(len(self.history) + 1)
                if result is None:
                    stopped_by = "deadline"
                    break
                started = time.monotonic()
                if checkpoint is not None and not timed_out:  # a part of an epoch cannot be resumed
                    checkpoint.save(self.state())
                go_on = on_epoch(result) if on_epoch is not None else None
                self.budget.overhead_done(time.monotonic() - started)
                stopped_by = self._early_end(timed_out, go_on)
        return self._result(stopped_by)

    def run_epoch(self, epoch: int) -> tuple[EpochResult | None, bool]:
        """Train one epoch (or what time allows of it) and validate; also whether time ran out."""
        started = time.monotonic()
        loss, images, timed_out = self.train_epoch(epoch)
        train_s = time.monotonic() - started
        if self.history and (images == 0 or self.budget.left_s <= 0):
            return None, True  # nothing new to validate, or no time for it
        probs = self.validate(epoch)
        y = self.val_batches.targets
        value, val_loss = self.metric(y, probs), log_loss(y, probs)
        improved = self.best.offer(self._evaluated_net(), value, val_loss, epoch, probs)
        self.budget.eval_done(time.monotonic() - started - train_s)
        result = EpochResult(
            epoch=epoch,
            epochs=self.options.epochs,
            train_loss=loss,
            value=value,
            val_loss=val_loss,
            val_accuracy=accuracy(y, probs),
            lr=max(g["lr"] for g in self.optimizer.param_groups),
            images_per_s=images / max(train_s, 1e-9),
            seconds=time.monotonic() - started,
            improved=improved,
        )
        self.history.append(result)
        return result, timed_out

    def train_epoch(self, epoch: int) -> tuple[float, int, bool]:
        """Mean loss, images seen, and whether time ran out."""
        self.train_batches.generator.manual_seed(derive_seed(self.seed, "order", epoch))
        generator = torch_generator(self.seed, "augment", epoch)
        torch.manual_seed(derive_seed(self.seed, "network", epoch))
        self.step.begin_epoch(epoch)
        images_seen = 0
        started = time.monotonic()
        for images, labels in self.train_batches:
            if self.budget.exhausted:
                if not images_seen and not self.history:
                    raise TrialError("the time limit leaves no time for a single training step")
                return self.step.mean_loss(), images_seen, True
            self._set_lr(self.annealer.next_factor(self.budget.feasible_steps()))
            inputs = self.prepare(images, generator)
            self.step(inputs, labels, generator)
            if self.ema is not None:
                self.ema.update_parameters(self.net)
            images_seen += len(images)
            now = time.monotonic()
            self.budget.step_done(now - started)
            started = now
        return self.step.mean_loss(), images_seen, False

    def prepare(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """(b, c, h, w) uint8 of the cache to the network's input, augmented on the device."""
        images = images.to(self.device, non_blocking=True)
        if self.augmentation is not None:
            images = self.augmentation(images, generator)
        elif self.preprocess.view is not None:
            images = self.preprocess.view(images)
        return self.preprocess.normalise(images, self.plan.input_dtype, self.plan.channels_last)

    def validate(self, epoch: int) -> NDArray[np.float32]:
        """(n, k) validation probabilities of the weights that would be kept."""
        probs = predict_probs(
            self._evaluated_net(),
            self.val_batches,
            preprocess=self.preprocess,
            device=self.device,
            precision=self.plan,
        )
        if not np.isfinite(probs).all():
            raise TrialError(f"predictions are NaN after epoch {epoch}; lower the learning rate")
        return probs

    def state(self) -> State:
        """Plain values and tensors from which `load_state` goes on identically."""
        return {
            "version": STATE_VERSION,
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
            "annealer": self.annealer.state_dict(),
            "best": self.best.state_dict(),
            "history": [asdict(result) for result in self.history],
            "batch_parts": self.step.parts,
        }

    def load_state(self, state: State) -> None:
        """Go on where `state` was taken."""
        if state.get("version") != STATE_VERSION:
            raise TrialError(f"the checkpoint has version {state.get('version')}, not {STATE_VERSION}")
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.ema is not None and state["ema"] is not None:
            self.ema.load_state_dict(state["ema"])
        self.annealer.load_state_dict(state["annealer"])
        self.best.load_state_dict(state["best"])
        self.history = [EpochResult(**entry) for entry in state["history"]]
        self.step.parts = int(state["batch_parts"])

    def _evaluated_net(self) -> nn.Module:
        return self.net if self.ema is None else self.ema.module

    def _set_lr(self, factor: float) -> None:
        for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = base * factor

    def _early_end(self, timed_out: bool = False, go_on: bool | None = None) -> str | None:
        done, patience = len(self.history), self.options.patience
        if done >= self.options.epochs:
            return "epochs"
        if timed_out:
            return "deadline"
        if go_on is False:
            return "callback"
        if patience is not None and self.best.epoch and done - self.best.epoch >= patience:
            return "patience"
        return None

    def _plan(self) -> PrecisionPlan:
        wanted = self.options.precision
        if isinstance(wanted, PrecisionPlan):
            return wanted
        if wanted != "auto":
            return PLANS[wanted]
        self.plan = PrecisionPlan()
        batches = self.train_batches
        images, _ = batches.gather(batches.rows[: batches.batch_size])
        example = self.prepare(images, torch_generator(self.seed, "measure"))
        self.net.to(self.device)
        return measure_precision(self.net, example, train=True)

    def _result(self, stopped_by: str) -> TrainResult:
        if self.best.state is None or self.best.probs is None:
            raise TrialError("the time limit ended before the first evaluation")
        self.net.load_state_dict(self.best.state)
        return TrainResult(
            best_state=self.best.state,
            best_epoch=self.best.epoch,
            best_value=self.best.value,
            val_probs=self.best.probs,
            history=tuple(self.history),
            stopped_by=stopped_by,
            precision=self.plan,
            batch_parts=self.step.parts,
        )
