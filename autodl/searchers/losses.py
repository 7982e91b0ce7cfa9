"""Scores of trials as losses that a surrogate can be fitted on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_CLIP = 3.0  # spreads (median minus best) above the median


def capped(scores: Sequence[float | None], limit: int) -> list[int]:
    """Which of the trials to learn from: half of them the best, the others the latest, in order.

    Args:
        scores: in the order the trials ended; None: it failed.
        limit: how many at most.
    """
    if len(scores) <= limit:
        return list(range(len(scores)))
    ranked = np.argsort([np.inf if score is None else -score for score in scores], kind="stable")
    chosen = set(ranked[: limit // 2].tolist())
    for i in reversed(range(len(scores))):
        if len(chosen) == limit:
            break
        chosen.add(i)
    return sorted(chosen)


def standardised(scores: Sequence[float | None]) -> NDArray[np.float64]:
    """Losses of mean 0 and deviation 1; a failed trial has the highest.

    Losses far above the median are drawn in: how bad a bad trial is does not matter, and a
    diverged one (1e9) would leave nothing to see between the good ones.

    Args:
        scores: larger is better, at least one of them a number.

    Returns:
        losses: (n,), smaller is better.
    """
    losses = np.array([np.nan if score is None else -score for score in scores])
    known = losses[~np.isnan(losses)]
    # Scaled first, so that no square overflows.
    unit = float(np.abs(known).max()) or 1.0
    losses, known = losses / unit, known / unit
    median, best = float(np.median(known)), float(known.min())
    ceiling = median + _CLIP * (median - best) if median > best else float(known.max())
    losses = np.minimum(np.where(np.isnan(losses), known.max(), losses), ceiling)
    spread = float(losses.std())
    result: NDArray[np.float64] = (losses - losses.mean()) / (spread if spread > 0 else 1.0)
    return result
