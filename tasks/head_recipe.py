"""Train only a linear head, on features of a frozen pretrained backbone computed once for all trials."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autodl.errors import TrialError
from autodl.models import Classifier, build_network
from autodl.tasks.ensemble_network import NetworkSpec
from autodl.tasks.feature_store import FeatureStore
from autodl.tasks.member import Member
from autodl.tasks.run_data import RunData
from autodl.tasks.trial_context import TrialContext, TrialReporter, monotonic_deadline
from autodl.training import (
    HeadOptions,
    LinearHead,
    cross_validate_head,
    train_head,
)
from autodl.trial import Config

FIRST_TRIAL_PART = 0.7
"""Part of the time left that the first trial may spend on features when they do not fit its share."""

HEAD_RESERVE = 0.1
"""Part of the time left that is kept for fitting the head on whatever features there are by then."""


@dataclass(frozen=True)
class HeadOnly:
    """A config's values for training a head.

    Attributes:
        backbone: a network with pretrained weights.
        l2: strength of the penalty on the head's weights (see `HeadOptions`).
        label_smoothing: in [0, 1).
        weights: "pretrained" or a path.
        flip: learn from, and predict with, the mirror image too.
    """

    backbone: str
    l2: float = 100.0
    label_smoothing: float = 0.0
    weights: str | Path = "pretrained"
    flip: bool = True


def train_head_only(context: TrialContext, config: Config, reporter: TrialReporter) -> None:
    """Fit a head as a config says, report it, leave a `Member` behind."""
    data = RunData.open(context.cache)
    values = HeadOnly(**context.values(config))
    net = build_network(
        values.backbone,
        data.num_classes,
        input_size=int(data.facts["input_size"]),
        weights=values.weights,
    )
    features, rows, flip = _features(context, data, values, net, reporter)
    folds, labels = data.folds[rows], data.labels[rows]
    smoothing = context.training.label_smoothing
    options = HeadOptions(
        l2=values.l2, label_smoothing=values.label_smoothing if smoothing is None else smoothing
    )
    head, held_out, probs = _fit(context, data, features, labels, folds, options, reporter)
    spec = NetworkSpec(values.backbone, {}, data.num_classes, net.preprocessing)
    order = np.argsort(rows[held_out])
    member = Member(
        reporter.trial_id, spec, True, flip, rows[held_out][order], np.asarray(probs[order], np.float32)
    )
    linear = head.to_linear()
    member.save(reporter.checkpoint_dir, linear.state_dict())
    value = context.metric(data.labels[member.rows], member.probs)
    reporter(epoch=1, **{context.metric.name: value, "images": float(len(rows))})


def _fit(
    context: TrialContext,
    data: RunData,
    features: NDArray[np.floating],
    labels: NDArray[np.int64],
    folds: NDArray[np.int64],
    options: HeadOptions,
    reporter: TrialReporter,
) -> tuple[LinearHead, NDArray[np.int64], NDArray[np.float32]]:
    """The head, the rows (of the features) it is judged on, and its probabilities for them."""
    class_weight = None if context.class_weights is None else np.asarray(context.class_weights)
    deadline = monotonic_deadline(reporter, 0.3)
    held_out = np.flatnonzero(folds >= 0)
    if len(held_out) == 0 or len(np.unique(labels[folds != 0])) < 2:
        raise TrialError(
            f"features of {len(labels)} images were computed in time, too few to learn from; "
            "give a longer time_limit"
        )
    if data.num_folds > 1 and len(np.unique(folds)) > 1:
        validated = cross_validate_head(
            features,
            labels,
            folds,
            num_classes=data.num_classes,
            options=options,
            class_weight=class_weight,
            deadline=deadline,
        )
        return validated.head, held_out, validated.oof_probs
    train = np.flatnonzero(folds != 0)
    head = train_head(
        features[:, train],
        labels[train],
        num_classes=data.num_classes,
        options=options,
        class_weight=class_weight,
        deadline=deadline,
    )
    return head, held_out, head.probs(features[:, held_out])


def _features(
    context: TrialContext, data: RunData, values: HeadOnly, net: Classifier, reporter: TrialReporter
) -> tuple[NDArray[np.floating], NDArray[np.int64], bool]:
    """Features (views, n, d), their rows, and whether the mirror image is among the views."""
    started = time.monotonic()
    budget_s = context.budget_s(reporter)
    hard = monotonic_deadline(reporter, HEAD_RESERVE * (reporter.time_left_s or 0.0))
    first = hard
    if hard is not None and budget_s is not None:
        part = FIRST_TRIAL_PART * (reporter.time_left_s or 0.0) if reporter.trial_id == 0 else 0.0
        first = min(hard, started + max(budget_s, part))
    store = FeatureStore(context.cache, data, values.backbone, values.weights, net)
    centre = store.get("centre", first)
    if centre.rows_done == 0:
        raise TrialError("the time limit leaves no time to compute features; give a longer time_limit")
    rows = centre.rows[: centre.rows_done]
    first_cut = len(rows) < len(centre.rows)
    taken_s = time.monotonic() - started
    if values.flip and not first_cut:
        mirrored = store.find("flip")
        if mirrored is None or not mirrored.complete_views:
            deadline = hard if budget_s is None else started + max(budget_s, 2.2 * taken_s)
            if hard is None or deadline is None or deadline <= hard:
                mirrored = store.get("flip", deadline)
        if mirrored is not None and mirrored.rows_done == len(rows):
            return np.stack([centre.view("centre"), mirrored.view("flip")]), rows, True
    return centre.view("centre")[None], rows, False
