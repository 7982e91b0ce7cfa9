"""Tiny data, networks that train at once, and made-up members for the tests of the tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import nn

from autodl import ImageClassifier
from autodl.data import AuditReport, ClassMap
from autodl.models.classifier import Preprocessing
from autodl.tasks.ensemble_network import NetworkSpec
from autodl.tasks.member import Member
from autodl.tasks.run_data import RunData


def linear(side: int = 8, classes: int = 10) -> nn.Module:
    """A network that trains in no time."""
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * side * side, classes))


def quick(**params: Any) -> ImageClassifier:
    """An unfitted classifier whose fit takes a fraction of a second on 8 px images."""
    defaults: dict[str, Any] = {"net": linear(), "num_trials": 1, "epochs": 1, "verbosity": 0}
    return ImageClassifier(**{**defaults, **params})


COLOURS = {"blue": (30, 40, 220), "green": (40, 200, 40), "red": (220, 40, 30)}


def patch(name: str, seed: int, side: int = 8) -> np.ndarray:
    """A noisy (side, side, 3) picture of a colour: easy to tell apart, no two alike."""
    noise = np.random.default_rng([seed, *name.encode()]).integers(-25, 26, (side, side, 3))
    return np.clip(np.array(COLOURS.get(name, (128, 128, 128))) + noise, 0, 255).astype(np.uint8)


def colour_folder(
    root: Path, count: int = 8, classes: tuple[str, ...] = ("blue", "red"), *, first: int = 0
) -> Path:
    """A folder per colour with small PNG files; other `first`, other pictures."""
    for label in classes:
        (root / label).mkdir(parents=True, exist_ok=True)
        for i in range(first, first + count):
            Image.fromarray(patch(label, i)).save(root / label / f"{i}.png")
    return root


SPEC = NetworkSpec("small_resnet", {"width": 4, "blocks": 1}, 3, Preprocessing(8))


def member(trial_id: int, rows: Any, probs: Any, *, frozen: bool = False, flip: bool = False) -> Member:
    """A trained candidate, made up."""
    return Member(trial_id, SPEC, frozen, flip, np.asarray(rows), np.asarray(probs, np.float32))


def run_data(labels: Any, folds: Any) -> RunData:
    """A run's data with empty pixels, made up."""
    labels, folds = np.asarray(labels), np.asarray(folds)
    n, classes = len(labels), ClassMap(tuple(range(int(labels.max()) + 1)))
    audit = AuditReport("made", n, np.arange(n), np.arange(n), (), {})
    pixels = np.zeros((n, 8, 8, 3), np.uint8)
    return RunData(pixels, labels, folds, classes, tuple(map(str, range(n))), audit, {"input_size": 8})
