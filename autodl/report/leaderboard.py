"""Trials as a table, best first."""

from __future__ import annotations

import pandas as pd

from autodl.report.ranking import config_labels, ranked
from autodl.report.view import ResultView, TrialView
from autodl.report.wording import error_summary
from autodl.trial import TrialState

_FIXED = ("trial_id", "state", "resource", "seconds", "worker", "error")


def leaderboard(result: ResultView) -> pd.DataFrame:
    """One row a trial, best first.

    Columns: ``trial_id``, ``state``, the metric (each trial's best value), ``resource`` (epochs),
    ``seconds``, ``worker``, ``error`` (one line), then a column for each label of the search space;
    labels that are inactive in a trial are missing there. A label that has the name of another column
    is called ``config.<label>``.
    """
    trials = ranked(result.trials)
    rows = [_row(trial, result.metric) for trial in trials]
    columns = ["trial_id", "state", result.metric, "resource", "seconds", "worker", "error"]
    table = pd.DataFrame(rows, columns=columns)
    parts = [table]
    for label in config_labels(result.trials):
        name = f"config.{label}" if label in (*_FIXED, result.metric) else label
        parts.append(_column([trial.config.get(label) for trial in trials], name).to_frame())
    return pd.concat(parts, axis=1)


def _row(trial: TrialView, metric: str) -> dict[str, object]:
    best = trial.best
    seconds = None if trial.ended_s is None else trial.ended_s - trial.started_s
    return {
        "trial_id": trial.trial_id,
        "state": str(trial.state),
        metric: float("nan") if best is None or best.value is None else best.value,
        "resource": trial.resource,
        "seconds": float("nan") if seconds is None else seconds,
        "worker": trial.worker,
        "error": error_summary(trial.error) if trial.state == TrialState.FAILED else "",
    }


def _column(values: list[object], name: str) -> pd.Series:
    """Keeps ints whole and bools true where a label is missing in some trials."""
    present = [value for value in values if value is not None]
    kinds = {type(value) for value in present}
    dtype = {frozenset({int}): "Int64", frozenset({bool}): "boolean"}.get(frozenset(kinds))
    if dtype is None and kinds and kinds <= {int, float}:
        dtype = "float64"
    return pd.Series(values, name=name, dtype=dtype or "object")
