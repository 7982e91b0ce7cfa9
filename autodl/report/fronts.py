"""Which trials no other beats, and how much they reach together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from autodl.errors import OptionError
from autodl.objectives import Goals
from autodl.pareto import hypervolume, non_dominated, reference_of
from autodl.report.ranking import ranked
from autodl.report.view import ResultView, TrialView, goals_of
from autodl.trial import TrialState


def comparable(result: ResultView) -> tuple[list[TrialView], NDArray[np.float64]]:
    """Feasible trials that did not fail, best first, and their scores (n, m), larger is better."""
    goals = goals_of(result)
    trials, scores = [], []
    for trial in ranked(result.trials):
        found = trial_scores(trial, goals)
        if found is not None and trial.best is not None and trial.best.violation <= 0.0:
            trials.append(trial)
            scores.append(found)
    return trials, np.array(scores, dtype=np.float64).reshape(len(trials), len(goals.objectives))


def trial_scores(trial: TrialView, goals: Goals) -> tuple[float, ...] | None:
    """A trial's best report by all objectives, larger is better; None: it failed or has none."""
    if trial.state == TrialState.FAILED or trial.best is None or trial.best.score is None:
        return None
    return goals.scores(trial.best.metrics) if len(goals.objectives) > 1 else (trial.best.score,)


def pareto_front(result: ResultView) -> list[TrialView]:
    """Feasible trials that no other beats, best in the first metric first."""
    trials, scores = comparable(result)
    return [trial for trial, kept in zip(trials, non_dominated(scores), strict=True) if kept]


def front_volume(result: ResultView, reference: Sequence[float] | Mapping[str, float] | None = None) -> float:
    """The hypervolume of the front; 0 for an empty one.

    Args:
        result: a run.
        reference: a value of each metric, in its own units; None: see `autodl.pareto.reference_of`.

    Raises:
        OptionError: another number of values than metrics, or a metric without one.
    """
    goals = goals_of(result)
    _, scores = comparable(result)
    if reference is None:
        return hypervolume(scores, reference_of(scores)) if len(scores) else 0.0
    names = [objective.metric for objective in goals.objectives]
    if isinstance(reference, Mapping):
        missing = [name for name in names if name not in reference]
        if missing:
            raise OptionError(f"the reference has no value of {', '.join(missing)}")
        values = [reference[name] for name in names]
    else:
        values = list(reference)
    if len(values) != len(names):
        raise OptionError(f"the reference needs a value of each of {', '.join(names)}, got {values!r}")
    return hypervolume(scores, [o.score(v) for o, v in zip(goals.objectives, values, strict=True)])
