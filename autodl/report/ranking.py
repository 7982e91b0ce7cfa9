"""The order of trials, the same in the progress display, the leaderboard, plots and reports."""

from __future__ import annotations

from collections.abc import Sequence

from autodl.report.view import TrialView
from autodl.trial import TrialState


def ranked(trials: Sequence[TrialView]) -> list[TrialView]:
    """Trials from best to worst, ties to the earlier.

    A trial that failed comes after all that did not, whatever it reported before (a score on the way to
    a NaN is not one to trust), one that misses a constraint after all that keep them; trials without a
    score come last.
    """

    def key(trial: TrialView) -> tuple[bool, bool, float, float, int]:
        best = trial.best
        score = best.score if best is not None else None
        violation = best.violation if best is not None else 0.0
        failed = trial.state == TrialState.FAILED
        return score is None, failed, violation, -(score or 0.0), trial.trial_id

    return sorted(trials, key=key)


def config_labels(trials: Sequence[TrialView]) -> tuple[str, ...]:
    """Every label that some trial's config holds, in the order first met."""
    return tuple(dict.fromkeys(label for trial in trials for label in trial.config))
