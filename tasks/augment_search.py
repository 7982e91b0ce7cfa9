"""A policy searched for the training images of a run; held-out images are not looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from autodl.augment import Policy, search_policy
from autodl.augment.search_data import LEAST_PER_CLASS
from autodl.errors import LabelError
from autodl.rng import derive_seed
from autodl.tasks.run_data import RunData
from autodl.training import cpu_threads

MOST_IMAGES = 4_000
"""Images that a policy is searched on at most."""

FOLDS = 5
"""Random splits into images that a network learns from and those that policies are searched on."""

FOLD_S = 15.0
"""Seconds that a fold should have: where time is short, few folds with a network that knows something
say more than many with networks that know nothing."""

WORTH_WORKERS_S = 60.0
"""Time limit from which folds run side by side in processes of their own, which take seconds to start."""

LARGEST_SIDE = 32
"""Larger images are reduced to this side, pixels, for the search: policies do not name pixels."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to.

    Attributes:
        policy: what it found.
        op_weights: op -> its share in the policy.
        words: the search in a sentence.
    """

    policy: Policy
    op_weights: Mapping[str, float]
    words: str


def search(data: RunData, *, seed: int, time_limit_s: float | None) -> Found:
    """Find a policy for a run's training images.

    Args:
        data: of the run.
        seed: fixes which images are taken, and the search.
        time_limit_s: wall-clock seconds; None: as long as it takes.

    Raises:
        LabelError: not two classes with enough training images.
        TrialError: the time is too short for anything.
    """
    images, labels = training_part(data, seed)
    workers = cpu_threads() if time_limit_s is not None and time_limit_s >= WORTH_WORKERS_S else 1
    result = search_policy(
        images,
        labels,
        folds=_folds(time_limit_s, workers),
        seed=derive_seed(seed, "augment search"),
        time_limit_s=time_limit_s,
        num_workers=workers,
    )
    weights = {name: float(weight) for name, weight in result.op_weights.items()}
    left_out = data.num_classes - len(np.unique(labels))
    return Found(result.policy, weights, _words(result.policy, weights, len(images), left_out))


def _folds(time_limit_s: float | None, workers: int) -> int:
    if time_limit_s is None:
        return FOLDS
    return max(1, min(FOLDS, int(time_limit_s * workers / FOLD_S)))


def training_part(data: RunData, seed: int) -> tuple[torch.Tensor, NDArray[np.int64]]:
    """(n, 3, s, s) uint8 images and (n,) class numbers from the training rows of a run.

    Classes with too few images to be split are left out: a rare class is no reason to have no policy.

    Raises:
        LabelError: fewer than two classes are left.
    """
    rng = np.random.default_rng(derive_seed(seed, "augment images"))
    rows = np.sort(rng.permutation(data.training_rows())[:MOST_IMAGES])
    counts = np.bincount(data.labels[rows], minlength=data.num_classes)
    if (enough := int((counts >= LEAST_PER_CLASS).sum())) < 2:
        raise LabelError(
            f"a policy search needs two classes with {LEAST_PER_CLASS} training images or more, "
            f"there are {enough} among {data.num_classes}"
        )
    rows = rows[counts[data.labels[rows]] >= LEAST_PER_CLASS]
    parts = []
    for start in range(0, len(rows), 256):
        pixels = np.take(data.pixels, rows[start : start + 256], axis=0)
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        if max(images.shape[-2:]) > LARGEST_SIDE:
            images = F.interpolate(images, (LARGEST_SIDE, LARGEST_SIDE), mode="bilinear", antialias=True)
        parts.append(images.contiguous())
    return torch.cat(parts), data.labels[rows]


def _words(policy: Policy, weights: Mapping[str, float], images: int, left_out: int) -> str:
    shares = ", ".join(f"{name} {weight:.0%}" for name, weight in list(weights.items())[:4])
    without = f", without {left_out} small class{'es' * (left_out > 1)}" if left_out else ""
    return f"{len(policy.sub_policies)} sub-policies from {images} images{without} ({shares or 'no op'})"
