"""Cross-validated linear heads: out-of-fold predictions, the choice of the penalty, one averaged head."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from autodl.errors import OptionError
from autodl.training.logistic import Floats, HeadOptions, LinearHead, count_classes, train_head

L2_GRID = (1.0, 10.0, 100.0, 1000.0)


@dataclass(frozen=True, slots=True)
class CrossValidatedHead:
    """Heads of K folds and what they say about images they have not seen.

    Args:
        head: the mean of the folds' heads, one linear layer.
        heads: one a fold.
        oof_probs: (n, k) float32, each row from the heads that did not train on it.
        options: what they were trained with.
    """

    head: LinearHead
    heads: tuple[LinearHead, ...]
    oof_probs: NDArray[np.float32]
    options: HeadOptions


def cross_validate_head(  # noqa: PLR0913  # facade; all but the first three have working defaults
    features: Floats,
    y: NDArray[np.int64],
    folds: NDArray[np.int64],
    *,
    eval_features: Floats | None = None,
    num_classes: int | None = None,
    options: HeadOptions | None = None,
    class_weight: Floats | None = None,
    start: CrossValidatedHead | None = None,
    deadline: float | None = None,
) -> CrossValidatedHead:
    """Train one head a fold on the other folds' images.

    Args:
        features: (n, d) or (v, n, d), to train on.
        y: (n,) classes.
        folds: (n,) fold of each image; all views of an image are in its fold.
        eval_features: (n, d) or (v, n, d) to predict from; None takes ``features``.
        num_classes: k; None takes the largest class + 1.
        options: see `train_head`.
        class_weight: see `train_head`.
        start: heads of the same folds to start from.
        deadline: see `train_head`.
    """
    seen = features if eval_features is None else eval_features
    k = count_classes(y, num_classes)
    oof = np.zeros((len(y), k), np.float32)
    heads = []
    for number, fold in enumerate(np.unique(folds)):
        inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        head = train_head(
            features[..., inside, :],
            y[inside],
            num_classes=k,
            options=options,
            class_weight=class_weight,
            start=None if start is None else start.heads[number],
            deadline=deadline,
        )
        oof[outside] = head.probs(seen[..., outside, :])
        heads.append(head)
    return CrossValidatedHead(average_heads(heads), tuple(heads), oof, options or HeadOptions())


def tune_l2(  # noqa: PLR0913  # facade; all but the first three have working defaults
    features: Floats,
    y: NDArray[np.int64],
    folds: NDArray[np.int64],
    *,
    grid: Sequence[float] = L2_GRID,
    eval_features: Floats | None = None,
    num_classes: int | None = None,
    options: HeadOptions | None = None,
    class_weight: Floats | None = None,
    deadline: float | None = None,
) -> CrossValidatedHead:
    """`cross_validate_head` with the penalty of ``grid`` whose out-of-fold log loss is lowest.

    Starts at the strongest penalty, which is solved fastest, and each next one from the last.
    """
    base = options or HeadOptions()
    best, best_loss = None, math.inf
    last: CrossValidatedHead | None = None
    for l2 in sorted(grid, reverse=True):
        if best is not None and deadline is not None and time.monotonic() >= deadline:
            break
        last = cross_validate_head(
            features,
            y,
            folds,
            eval_features=eval_features,
            num_classes=num_classes,
            options=replace(base, l2=l2),
            class_weight=class_weight,
            start=last,
            deadline=deadline,
        )
        own = last.oof_probs[np.arange(len(y)), y]
        loss = float(-np.log(np.maximum(own, 1e-15)).mean())
        if best is None or loss < best_loss:
            best, best_loss = last, loss
    if best is None:
        raise OptionError("grid must hold at least one penalty")
    return best


def average_heads(heads: Sequence[LinearHead], weights: Floats | None = None) -> LinearHead:
    """One head whose logits are the (weighted) mean of these heads' logits."""
    weight = np.average([h.weight for h in heads], axis=0, weights=weights)
    bias = np.average([h.bias for h in heads], axis=0, weights=weights)
    return LinearHead(weight.astype(np.float32), bias.astype(np.float32))
