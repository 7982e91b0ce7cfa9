"""Short trainings that differ in their augmentation only, judged on held-out images."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autodl.augment import choose_augmentation
from autodl.errors import TrialError
from autodl.rng import derive_seed
from autodl.spaces import SearchSpace
from autodl.tasks.augment_record import AugmentArm
from autodl.tasks.member import Member
from autodl.tasks.network_recipe import images_per_s, train_whole_network
from autodl.tasks.run_data import RunData, write_part
from autodl.tasks.trial_context import TrialContext
from autodl.training import Metric
from autodl.training.metrics import log_loss

EPOCHS = 50
"""Epochs that an arm should have. Strong augmentation needs time to pay: with 15 epochs
TrivialAugment costs what it brings with many. So where time is short, fewer images are seen as often."""

FEWEST_IMAGES = 500
MOST_PIXELS = 10_000 * 32 * 32
"""Least number of images that arms train on, and most pixels (images times area)."""

FEWEST_EPOCHS = 10.0
"""Epochs of so few images below which a comparison says nothing: networks that have hardly begun to
learn are best without any policy."""

TOO_FEW_EPOCHS = 5
"""Likewise epochs that the first training came to; overhead may make it slower than expected."""

MOST_JUDGED = 2_000
"""Held-out images that arms are judged on at most."""

FIRST_PART = 0.85
"""Part of its turn that the first training plans for: it sets the epochs of the others, which need
more time for the same, since they have a policy."""

NARROW = {"name": "small_resnet", "width": 16, "blocks": 1}
"""Stands in for our own larger networks, of which it is the fastest."""


SHARES = ("accuracy", "balanced_accuracy", "f1_macro")
"""Metrics that err about as a share of the held-out images does; gains within that error are none."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a comparison came to.

    Attributes:
        winner: name of the augmentation to use.
        arms: all, best first.
        trained_on: images.
        held_out: images that the arms were judged on.
        epochs: of each training.
    """

    winner: str
    arms: tuple[AugmentArm, ...]
    trained_on: int
    held_out: int
    epochs: int


def compare_augmentations(
    names: Sequence[str],
    data: RunData,
    context: TrialContext,
    folder: Path,
    *,
    seed: int,
    seconds: float | None,
    speed: float | None = None,
) -> Comparison:
    """Train the network that the plan names once with each augmentation.

    All trainings start from the same weights, see the same images in the same order, and last as
    many epochs as the first had time for.

    Args:
        names: the augmentations, simplest first: of equal ones the simplest wins.
        data: of the run.
        context: of the run's trials, with the recipe "network" and a policy if one was found.
        folder: for files, removed afterwards.
        seed: fixes weights, order and augmentation.
        seconds: for all together; None: as long as the caller's epochs, or the preset's, take.
        speed: `training_speed`; None: it is measured.

    Raises:
        TrialError: a training left nothing behind, or was too short to say anything.
    """
    shutil.rmtree(folder, ignore_errors=True)
    try:
        arms = _Arms(names, data, context, folder, seed, seconds, speed)
        metric, held_out = context.metric, len(arms.part.validation_rows())
        decision = choose_augmentation(
            dict.fromkeys(names),
            arms.evaluate,
            images=held_out if metric.name in SHARES else None,
            has_time=arms.has_time,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    ranked = sorted(arms.arms, key=lambda arm: -decision.scores[arm.name])
    part = arms.part
    return Comparison(
        decision.winner,
        tuple(ranked),
        len(part.training_rows()),
        len(part.validation_rows()),
        arms.epochs or 0,
    )


def training_speed(data: RunData, context: TrialContext, seed: int) -> float:
    """Images a second that a comparison's trainings are expected to see here."""
    return images_per_s(_one_recipe(context), data, seed)


def affordable_epochs(speed: float, seconds: float, arms: int) -> float:
    """How often `arms` trainings within `seconds` together see the fewest images worth training on."""
    return speed * seconds / arms * FIRST_PART / FEWEST_IMAGES


class _Arms:
    """The trainings, one after the other."""

    def __init__(  # what `compare_augmentations` was given
        self,
        names: Sequence[str],
        data: RunData,
        context: TrialContext,
        folder: Path,
        seed: int,
        seconds: float | None,
        speed: float | None,
    ) -> None:
        self._names, self._folder, self._seed, self._speed = names, folder, seed, speed
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._least = 0 if seconds is None or context.epochs else TOO_FEW_EPOCHS
        self._context = _one_recipe(context)
        self.part = self._write_part(data)
        self.arms: list[AugmentArm] = []
        self.epochs: int | None = None

    def evaluate(self, name: str) -> float:
        """Train with an augmentation: its metric, larger is better."""
        left = self._turn_s()
        recipe = {**self._context.recipes["network"], "augment": name}
        preset = self._context.preset
        ours = replace(
            self._context,
            cache=self._folder / "data",
            recipes={"network": recipe},
            preset=replace(preset, max_epochs=self.epochs or preset.max_epochs),
            time_limit_s=left,
        )
        reporter = ArmReporter(self._folder / name, derive_seed(self._seed, "augment arm"), left)
        train_whole_network(ours, SearchSpace(recipe).default, reporter)
        if reporter.epochs < self._least and self.epochs is None:
            raise TrialError(
                f"there was time for {reporter.epochs} epochs of the first training only "
                f"({self._least} would do)"
            )
        self.epochs = self.epochs or reporter.epochs
        arm = _judge(name, reporter.checkpoint_dir, self.part, self._context.metric)
        self.arms.append(arm)
        return arm.score if self._context.metric.mode == "max" else -arm.score

    def has_time(self) -> bool:
        """Whether the next training can begin."""
        return self._deadline is None or time.monotonic() < self._deadline

    def _turn_s(self) -> float | None:
        if self._deadline is None:
            return None
        turns = len(self._names) - len(self.arms)
        return (self._deadline - time.monotonic()) / turns * (1.0 if self.arms else FIRST_PART)

    def _write_part(self, data: RunData) -> RunData:
        """As many images as can be seen `EPOCHS` times in the first turn."""
        most = MOST_PIXELS // data.pixels.shape[1] ** 2
        turn = self._deadline and (self._deadline - time.monotonic()) / len(self._names) * FIRST_PART
        if turn is not None:
            speed = self._speed or images_per_s(self._context, data, self._seed)
            most = min(most, int(turn * speed / EPOCHS))
        rng = np.random.default_rng(derive_seed(self._seed, "augment rows"))
        training, held_out = rng.permutation(data.training_rows()), rng.permutation(data.validation_rows())
        rows = np.concatenate([training[: max(FEWEST_IMAGES, most)], held_out[:MOST_JUDGED]])
        return write_part(data, np.sort(rows), self._folder / "data")


class ArmReporter:
    """What a recipe needs of the engine, for a training outside the search."""

    trial_id = 0

    def __init__(self, folder: Path, seed: int, seconds: float | None) -> None:
        self.checkpoint_dir, self.seed = folder, seed
        self.epochs = 0
        self._deadline = None if seconds is None else time.monotonic() + seconds

    @property
    def time_left_s(self) -> float | None:
        """Seconds until the arm's turn is over."""
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def __call__(self, **metrics: float) -> None:
        """Count an epoch."""
        self.epochs += 1

    def save(self, state: Any) -> object:
        """Nothing: an arm that is interrupted starts anew."""
        return None

    def load(self) -> Any:
        """Nothing was kept."""
        return None


def _one_recipe(context: TrialContext) -> TrialContext:
    """The recipe "network" alone, a narrow network instead of ours, at most the caller's epochs."""
    recipe = dict(context.recipes["network"])
    if isinstance(recipe["net"], dict) and recipe["net"].get("name") == NARROW["name"]:
        recipe["net"] = {**recipe["net"], **NARROW}
    preset = context.preset
    if context.epochs is not None:
        preset = replace(preset, epochs=context.epochs, max_epochs=context.epochs)
    return replace(context, recipes={"network": recipe}, preset=preset, epochs=None, shares=(1.0,))


def _judge(name: str, folder: Path, data: RunData, metric: Metric) -> AugmentArm:
    member = Member.load(folder)
    if member is None or not len(member.probs):
        raise TrialError(f"the training with augment={name!r} left nothing behind")
    truth: NDArray[np.int64] = data.labels[member.rows]
    score, loss = float(metric(truth, member.probs)), log_loss(truth, member.probs)
    if not np.isfinite([score, loss]).all():
        raise TrialError(f"the metric {metric.name} of augment={name!r} is no finite number")
    return AugmentArm(name, score, loss)
