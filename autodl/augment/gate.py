"""The gate: an augmentation is used only where it proves itself on held-out images.

On data that a policy cannot help, searched ones and strong fixed ones make models worse. Whoever
trains hands over candidates, simplest first, and a way to measure one; what comes back is the one to
use.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from autodl.checks import check_whole
from autodl.errors import OptionError
from autodl.training import Augmentation


@dataclass(frozen=True, slots=True)
class GateDecision:
    """What was measured, and what to use.

    Attributes:
        winner: name of the candidate to use.
        augmentation: that candidate.
        scores: held-out value of each candidate that was measured, larger is better; those that
            failed have NaN.
        skipped: candidates for which there was no time.
    """

    winner: str
    augmentation: Augmentation | None
    scores: dict[str, float]
    skipped: tuple[str, ...] = ()

    def summary(self) -> str:
        """One line of text."""
        scores = ", ".join(f"{name} {value:.4f}" for name, value in self.scores.items())
        skipped = f"; no time for {', '.join(self.skipped)}" if self.skipped else ""
        return f"{self.winner} ({scores}{skipped})"


def choose_augmentation(
    candidates: Mapping[str, Augmentation | None],
    evaluate: Callable[[str], float],
    *,
    tolerance: float = 0.0,
    images: int | None = None,
    has_time: Callable[[], bool] = lambda: True,
) -> GateDecision:
    """Measure candidates and pick one.

    Args:
        candidates: name to augmentation (None: none), the simplest first.
        evaluate: name to its value on held-out images, larger is better; train each with the same
            seeds, images and epochs. NaN for a training that came to nothing.
        tolerance: values so close to the best count as equal to it; of equals the simplest wins.
        images: number of held-out images, for values that are shares of them (accuracy): then values
            within one standard error of the difference of two such shares count as equal, too.
        has_time: asked before each candidate but the first; those after a no are skipped.

    Returns:
        The first of those that count as equal to the best; the first candidate if none has a value.

    Raises:
        OptionError: no candidates, a negative tolerance, or no images.

    Example:
        >>> accuracy = {"none": 0.91, "trivial": 0.93, "found": 0.93}
        >>> choose_augmentation(dict.fromkeys(accuracy), accuracy.__getitem__).winner
        'trivial'
    """
    if not candidates:
        raise OptionError("the gate needs at least one candidate")
    if not tolerance >= 0:
        raise OptionError(f"tolerance must be >= 0, got {tolerance}")
    if images is not None:
        check_whole("images", images)
    names = list(candidates)
    scores: dict[str, float] = {}
    for name in names:
        if scores and not has_time():
            break
        scores[name] = float(evaluate(name))
    known = {name: score for name, score in scores.items() if not math.isnan(score)}
    winner = names[0]
    if known:
        best = max(known.values())
        margin = max(tolerance, 0.0 if images is None else standard_error(best, images))
        winner = next(name for name, score in known.items() if score >= best - margin)
    return GateDecision(winner, candidates[winner], scores, tuple(names[len(scores) :]))


def standard_error(share: float, images: int) -> float:
    """Of the difference of two shares measured on so many images each; by Laplace's rule, never 0.

    Args:
        share: the larger one, in [0, 1].
        images: at least 1.
    """
    smoothed = (share * images + 1) / (images + 2)
    return math.sqrt(2 * smoothed * (1 - smoothed) / images)
