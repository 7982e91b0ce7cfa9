"""What every trial of an image run knows besides its config, and how it plans its time."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from autodl.augment import Policy
from autodl.spaces import Categorical
from autodl.spaces.nested import build
from autodl.spaces.objects import accepts
from autodl.tasks.options import Preset, TrainingOptions
from autodl.training import Metric
from autodl.trial import Config

OVERPLAN = 1.5
"""Epochs planned over those that the measured speed allows: the learning rate is annealed to the
deadline, so too many do no harm, while too few leave time unused when the speed was measured low."""

RECIPE_LABEL = "recipe"


class TrialReporter(Protocol):
    """What a recipe uses of the engine's reporter."""

    trial_id: int
    seed: int

    @property
    def time_left_s(self) -> float | None:
        """Seconds until the trial is cut, None without a limit."""

    @property
    def checkpoint_dir(self) -> Path:
        """The trial's own directory."""

    def __call__(self, **metrics: float) -> None:
        """Report a measurement."""

    def save(self, state: Any) -> object:
        """Keep a checkpoint."""

    def load(self) -> Any:
        """The checkpoint kept last, or None."""


@dataclass(frozen=True, slots=True)
class TrialContext:
    """Shipped to the workers with each job: small, picklable.

    Attributes:
        cache: directory of the run's data (`RunData.open`).
        recipes: for each recipe its parts, spaces and constants.
        metric: what trials are compared on.
        training: the caller's training options.
        preset: scale of epochs where nothing else says.
        epochs: of every training, fixed by the caller; None: from the time left.
        batch_size: fixed by the caller; None: from the number of images.
        class_weights: weight of each class in the loss; None: equal.
        shares: part of the run's time that the first, second, ... trial may plan for.
        time_limit_s: the run's time limit in seconds; None: no limit.
        policy: the augmentation policy that was found for the data; None: there is none.
    """

    cache: Path
    recipes: Mapping[str, Mapping[str, Any]]
    metric: Metric
    training: TrainingOptions
    preset: Preset
    epochs: int | None
    batch_size: int | None
    class_weights: tuple[float, ...] | None
    shares: tuple[float, ...]
    time_limit_s: float | None
    policy: Policy | None = None

    @property
    def in_a_hurry(self) -> bool:
        """Whether a time limit decides how much is trained, so that runs are not repeatable anyway."""
        return self.time_limit_s is not None and self.epochs is None

    def choose(self, config: Config) -> tuple[str, str]:
        """The recipe that a config names, and the prefix of its labels."""
        if RECIPE_LABEL not in config:
            return next(iter(self.recipes)), ""
        name = str(config[RECIPE_LABEL])
        return name, f"{RECIPE_LABEL}/{name}/"

    def values(self, config: Config, **extra: Any) -> dict[str, Any]:
        """The parts of the chosen recipe, built.

        Args:
            config: the trial's config.
            **extra: keyword arguments for decorated classes that take them (``num_classes``).
        """
        name, prefix = self.choose(config)
        return {key: build(part, f"{prefix}{key}", config, extra) for key, part in self.recipes[name].items()}

    def origin_of(self, key: str, config: Config, **extra: Any) -> tuple[str, dict[str, Any]]:
        """Where a part that is a decorated class comes from, and its arguments, for a file.

        Returns:
            ``"module:qualname"`` and the arguments; "" and none if it is no decorated class, no
            arguments if JSON cannot hold them (then the network must be given again on loading).
        """
        name, prefix = self.choose(config)
        part, label = self.recipes[name][key], f"{prefix}{key}"
        while isinstance(part, Categorical):
            position = part.index(config[label])
            assert position is not None, "the config was validated"
            part, label = part.choices[position], f"{label}/{part.names[position]}"
        target = getattr(part, "target", None)
        if target is None:
            return "", {}
        arguments = {k: build(child, f"{label}/{k}", config) for k, child in part.children()}
        arguments |= {k: v for k, v in extra.items() if accepts(target, k)}
        origin = f"{target.__module__}:{target.__qualname__}"
        try:
            json.dumps(arguments)
        except (TypeError, ValueError):
            return origin, {}
        return origin, arguments

    def budget_s(self, reporter: TrialReporter) -> float | None:
        """Seconds that this trial may plan for; None without a time limit.

        What a small rest would be left unused after it is added.
        """
        left = reporter.time_left_s
        if left is None or self.time_limit_s is None:
            return left
        turn = min(reporter.trial_id, len(self.shares) - 1)
        budget = self.shares[turn] * self.time_limit_s
        return left if left < 1.5 * budget else budget


def planned_epochs(context: TrialContext, budget_s: float | None, epoch_s: float, without_limit: int) -> int:
    """How many epochs a training may plan.

    Args:
        context: the caller may have fixed the number.
        budget_s: seconds there are; None: no limit.
        epoch_s: expected seconds of an epoch, its validation included.
        without_limit: the preset's number for when there is no limit.
    """
    if context.epochs is not None:
        return context.epochs
    if budget_s is None:
        return without_limit
    return max(1, min(context.preset.max_epochs, math.ceil(OVERPLAN * budget_s / epoch_s)))


def monotonic_deadline(reporter: TrialReporter, reserve_s: float) -> float | None:
    """When a training must have come to its end, on ``time.monotonic``'s scale.

    Args:
        reporter: knows when the trial is cut.
        reserve_s: seconds kept for writing the result.
    """
    left = reporter.time_left_s
    return None if left is None else time.monotonic() + max(0.0, left - reserve_s)
