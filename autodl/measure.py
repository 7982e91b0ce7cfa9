"""From the metrics that a trial reports to the record of them."""

from __future__ import annotations

import math

from autodl.objectives import Goals
from autodl.trial import Report, Trial, TrialState


def measure(
    goals: Goals, trial: Trial, resource: int, metrics: dict[str, float]
) -> tuple[Report, str | None]:
    """The record of a report, and why it fails the trial; None: it does not.

    A metric of the goals that is left out counts as reported last: what does not change (the
    number of parameters, say) needs to be reported once.

    Args:
        goals: of the run.
        trial: with the reports before this one.
        resource: epochs done.
        metrics: as reported.
    """
    if trial.reports and not goals.is_simple:
        last = trial.reports[-1].metrics
        metrics = {name: last[name] for name in goals.metrics if name in last} | metrics
    failure = _failure(goals, resource, metrics)
    scores = None if failure else goals.scores(metrics)
    report = Report(
        trial.trial_id,
        trial.config,
        TrialState.RUNNING,
        resource,
        None if scores is None else metrics[goals.objectives[0].metric],
        None if scores is None else scores[0],
        metrics,
        goals.violation(metrics),
    )
    return report, failure


def _failure(goals: Goals, resource: int, metrics: dict[str, float]) -> str | None:
    for objective in goals.objectives:
        value = metrics.get(objective.metric, 0.0)
        if not math.isfinite(value):
            name = "NaN" if math.isnan(value) else "infinite"
            return f"metric {objective.metric!r} is {name} at resource {resource}"
    return None
