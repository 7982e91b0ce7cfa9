"""Trials as a table, best first."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from autodl.objectives import Goals
from autodl.report.fronts import pareto_front
from autodl.report.ranking import config_labels, ranked
from autodl.report.view import ResultView, TrialView, goals_of
from autodl.report.wording import error_summary
from autodl.trial import Config, TrialState

_FIXED = ("trial_id", "state", "resource", "seconds", "worker", "error")


def leaderboard(result: ResultView) -> pd.DataFrame:
    """One row a trial, best first.

    Columns: ``trial_id``, ``state``, the metrics (those of each trial's best report), ``pareto`` (on the
    front; with several metrics only, and those rows come first), ``feasible`` (with constraints only),
    ``resource`` (epochs), ``seconds``, ``worker``, ``error`` (one line), then a column for each label of
    the search space (as it was at that best report); labels that are inactive in a trial are missing
    there. A label that has the name of another column is called ``config.<label>``.
    """
    goals = goals_of(result)
    front = {trial.trial_id for trial in pareto_front(result)} if len(goals.objectives) > 1 else set()
    trials = sorted(ranked(result.trials), key=lambda trial: trial.trial_id not in front)
    rows = [_row(trial, goals, trial.trial_id in front) for trial in trials]
    flags = ["pareto"] * (len(goals.objectives) > 1) + ["feasible"] * bool(goals.constraints)
    columns = ["trial_id", "state", *goals.metrics, *flags, "resource", "seconds", "worker", "error"]
    table = pd.DataFrame(rows, columns=columns)
    configs = [trial.config if trial.best is None else trial.best.config for trial in trials]
    return _with_config(table, trials, configs)


def reports_table(result: ResultView) -> pd.DataFrame:
    """One row a report, by trial and then in the order of arrival.

    Columns: ``trial_id``, ``state`` (of the trial), ``resource``, each metric that was ever reported
    (missing where it was not), ``feasible`` if there are constraints, then the config as it was, in
    columns as in `leaderboard`.
    """
    goals = goals_of(result)
    pairs = [(trial, report) for trial in result.trials for report in trial.reports]
    names = dict.fromkeys([*goals.metrics, *(name for _, report in pairs for name in report.metrics)])
    rows = [
        {"trial_id": trial.trial_id, "state": str(trial.state), "resource": report.resource}
        | {name: report.metrics.get(name, float("nan")) for name in names}
        | {result.metric: report.metrics.get(result.metric, report.value)}
        | {"feasible": report.violation <= 0.0}
        for trial, report in pairs
    ]
    columns = ["trial_id", "state", "resource", *names, *["feasible"] * bool(goals.constraints)]
    table = pd.DataFrame(rows, columns=columns)
    return _with_config(table, [trial for trial, _ in pairs], [report.config for _, report in pairs])


def _with_config(table: pd.DataFrame, trials: Sequence[TrialView], configs: Sequence[Config]) -> pd.DataFrame:
    """A column for each label of the configs; `trials`, `configs`: one a row. A trial's config can change."""
    parts = [table]
    taken = {*_FIXED, *table.columns}
    last = config_labels(sorted(trials, key=lambda trial: trial.trial_id))
    for label in dict.fromkeys([*last, *(label for config in configs for label in config)]):
        name = f"config.{label}" if label in taken else label
        parts.append(_column([config.get(label) for config in configs], name).to_frame())
    return pd.concat(parts, axis=1)


def _row(trial: TrialView, goals: Goals, on_front: bool) -> dict[str, object]:
    best = trial.best
    seconds = None if trial.ended_s is None else trial.ended_s - trial.started_s
    metrics = {name: float("nan") if best is None else best.metrics.get(name) for name in goals.metrics}
    if best is not None:
        metrics[goals.objectives[0].metric] = best.value
    return {
        "trial_id": trial.trial_id,
        "state": str(trial.state),
        **{name: float("nan") if value is None else value for name, value in metrics.items()},
        "pareto": on_front,
        "feasible": best is not None and best.violation <= 0.0,
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
