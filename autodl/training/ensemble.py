"""Greedy ensemble selection over validation predictions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from autodl.errors import OptionError
from autodl.training.metrics import Metric, MetricFunction, get_metric, log_loss

Array = NDArray[np.float64]


def greedy_ensemble(
    probs: Sequence[NDArray[np.floating]],
    y: NDArray[np.int64],
    metric: str | Metric | MetricFunction,
    *,
    rounds: int = 25,
) -> Array:
    """Weights of the models whose averaged predictions validate best.

    Starts from nothing; each round adds, with replacement, the model that makes the average best.
    Among equals the lower log loss wins, then the earlier model. The result is the best average
    seen in any round, so it is never worse on ``y`` than the best single model.

    Args:
        probs: m arrays (n, k).
        y: (n,) right classes.
        metric: what to make best.
        rounds: additions, >= 1.

    Returns:
        (m,) weights >= 0 that sum to 1.

    Raises:
        OptionError: there is no model, or shapes differ.

    Source: Caruana, Niculescu-Mizil, Crew, Ksikes, Ensemble Selection from Libraries of Models,
    2004.
    """
    if not probs or any(p.shape != probs[0].shape or len(p) != len(y) for p in probs):
        raise OptionError(f"need models of one shape for {len(y)} labels, got {[p.shape for p in probs]}")
    if rounds < 1:
        raise OptionError(f"rounds must be >= 1, got {rounds}")
    stack = np.stack([np.asarray(p, np.float64) for p in probs])
    judge = get_metric(metric)
    counts = np.zeros(len(stack))
    total = np.zeros_like(stack[0])
    best: tuple[float, float] | None = None
    best_counts = counts
    for number in range(1, rounds + 1):
        scores = [_score(judge, y, (total + candidate) / number) for candidate in stack]
        chosen = max(range(len(stack)), key=lambda i: (scores[i], -i))
        counts[chosen] += 1
        total += stack[chosen]
        if best is None or scores[chosen] > best:
            best, best_counts = scores[chosen], counts.copy()
    weights: Array = best_counts / best_counts.sum()
    return weights


def _score(judge: Metric, y: NDArray[np.int64], probs: Array) -> tuple[float, float]:
    """Higher is better; the log loss breaks ties of metrics that move in steps."""
    value = judge(y, probs)
    if np.isnan(value):
        value = -np.inf
    elif judge.mode == "min":
        value = -value
    return round(float(value), 12), -round(log_loss(y, probs), 12)
