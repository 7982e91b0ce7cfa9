"""The part of a report that any search has, images or not."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from importlib import metadata
from itertools import islice

from autodl.report.content import Fact, ReportContent, ReportFigure, Table
from autodl.report.importance import Importances, importances
from autodl.report.plots import plot
from autodl.report.ranking import config_labels, ranked
from autodl.report.view import ResultView, TrialView
from autodl.report.wording import count, error_summary, format_duration, format_value
from autodl.trial import TrialState, Value

LEADERBOARD_ROWS = 100
DESKTOP, PHONE = 9.6, 3.7
"""Widths of figures in inches, near those of the page, so that their text has the page's size."""

_FIGURES = (
    ("curves", "Learning curves", "Each trial's {metric} by epoch; the best trial is blue."),
    ("incumbent", "Best so far", "The best {metric} found, by time since the start of the search."),
    (
        "parallel",
        "Configs side by side",
        "A line a trial across its hyper-parameters; the best quarter is blue.",
    ),
    (
        "slices",
        "Each hyper-parameter alone",
        "Each trial's {metric} by one hyper-parameter a panel; the best trial is blue.",
    ),
    ("timeline", "Who ran what", "A bar a trial by worker and time; the best is blue, failures are orange."),
)


def content_from_run(result: ResultView, *, title: str, subtitle: str = "") -> ReportContent:
    """A report on a search: leaderboard, figures, importance, best config, versions.

    A task adds what it knows with ``dataclasses.replace(content, confusion=..., mistakes=..., ...)``.

    Args:
        result: a finished run or one under way.
        title: of the report.
        subtitle: a sentence below it.
    """
    trials = ranked(result.trials)
    found = importances(result.trials)
    best = trials[0] if trials and trials[0].best is not None else None
    failed = [t for t in trials if t.state == TrialState.FAILED]
    return ReportContent(
        title=title,
        subtitle=subtitle,
        headline=_headline(best, result),
        facts=_facts(trials),
        leaderboard=_table(trials, result.metric) if trials else None,
        failures=tuple((f"trial {t.trial_id}", error_summary(t.error, 400)) for t in failed),
        figures=run_figures(result, labels=_by_importance(result, found)),
        importances=found.values,
        importance_note=_importance_note(found.explained, found.num_trials) if found.values else "",
        best_config=dict(best.config) if best is not None else {},
        config_note=f"Trial {best.trial_id}." if best is not None else "",
        versions=library_versions(),
        created=time.strftime("%Y-%m-%d %H:%M"),
    )


def run_figures(result: ResultView, labels: Sequence[str] | None = None) -> tuple[ReportFigure, ...]:
    """The plots of a search in two widths; none where no trial has a score.

    Args:
        result: the run.
        labels: hyper-parameters to show, most important first; None finds out.
    """
    scored = sum(t.best is not None for t in result.trials)
    if scored == 0:
        return ()
    figures = []
    for kind, title, alt in _FIGURES:
        if kind == "curves" and all(len(t.reports) < 2 for t in result.trials):
            continue
        if kind in ("parallel", "slices") and scored < 3:
            continue
        wide, narrow = (plot(kind, result, width=width, labels=labels) for width in (DESKTOP, PHONE))
        alt = alt.format(metric=result.metric)
        figures.append(ReportFigure.from_matplotlib(title, alt, wide, narrow=narrow, caption=alt))
    return tuple(figures)


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that decide the numbers; what is absent is left out."""
    versions = {"Python": platform.python_version()}
    for name in ("autodl", "torch", "torchvision", "numpy", "scikit-learn", "scikit-optimize", "pillow"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # run from a source tree, or not needed here
            continue
    return versions | {"platform": platform.platform()}


def _by_importance(result: ResultView, found: Importances) -> tuple[str, ...]:
    """All labels, so that no figure has to fit a forest of its own."""
    labels = config_labels(result.trials)
    return tuple(sorted(labels, key=lambda label: -found.values.get(label, 0.0)))


def _headline(best: TrialView | None, result: ResultView) -> Fact | None:
    if best is None or best.best is None:
        return None
    return Fact(f"Best {result.metric}", format_value(best.best.value), f"trial {best.trial_id}")


def _facts(trials: list[TrialView]) -> tuple[Fact, ...]:
    states = {state: sum(t.state == state for t in trials) for state in TrialState}
    told = [f"{number} {state}" for state, number in states.items() if number]
    end = max((t.ended_s or 0.0 for t in trials), default=0.0)
    epochs = sum(t.resource for t in trials)
    workers = len({t.worker for t in trials})
    facts = [Fact("Trials", f"{len(trials):,}", ", ".join(told)), Fact("Search time", format_duration(end))]
    if epochs > len(trials):
        facts.append(Fact("Epochs trained", f"{epochs:,}"))
    if workers > 1:
        facts.append(Fact("Workers", str(workers)))
    return tuple(facts)


def _table(trials: list[TrialView], metric: str) -> Table:
    labels = config_labels(trials)
    columns = ("trial", metric, "state", "epochs", "time", *labels)
    rows = []
    for trial in islice(trials, LEADERBOARD_ROWS):
        best = trial.best
        took = "" if trial.ended_s is None else format_duration(trial.ended_s - trial.started_s)
        cells: tuple[Value, ...] = (
            trial.trial_id,
            None if best is None else best.value,
            str(trial.state),
            trial.resource,
            took,
        )
        rows.append((*cells, *(trial.config.get(label) for label in labels)))
    return Table(columns, tuple(rows), left_out=max(0, len(trials) - LEADERBOARD_ROWS))


def _importance_note(explained: float, num_trials: int) -> str:
    learnt = f"Learnt from {count(num_trials, 'trial')}"
    if explained < 0.2:
        return f"{learnt}; too few or too noisy to predict scores, so take the order as a guess."
    return f"{learnt}; they explain {explained:.0%} of the differences in score."
