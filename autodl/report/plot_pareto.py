"""Picture of several metrics at once: trials, the Pareto front, what misses a constraint."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import ceil

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from autodl.objectives import Goals
from autodl.report.fronts import pareto_front
from autodl.report.plot_style import (
    BAD,
    FAINT,
    GOOD,
    INK,
    MUTED,
    empty,
    legend,
    looks_logarithmic,
    new_figure,
    plain,
)
from autodl.report.view import ResultView, TrialView, goals_of
from autodl.trial import TrialState

_PANELS = 6  # pairs of metrics that are shown, at most


def plot_pareto(result: ResultView, width: float) -> Figure:
    """Each trial by two metrics, the front blue; a panel for each pair where there are more.

    With one metric and constraints, the metrics of the constraints make the pairs.
    """
    goals = goals_of(result)
    names = [o.metric for o in goals.objectives] if len(goals.objectives) > 1 else list(goals.metrics)
    trials = [t for t in result.trials if t.best is not None and t.state != TrialState.FAILED]
    if len(names) < 2:
        return empty(width, "The run has one metric: a front needs two.")
    if not trials:
        return empty(width, "No trial has reported all metrics.")
    pairs = list(combinations(names, 2))[:_PANELS]
    columns = min(len(pairs), max(1, int(width / 2.4)))
    rows = ceil(len(pairs) / columns)
    height = min(4.0, 0.85 * width) if len(pairs) == 1 else 2.3 * rows
    figure, axes = new_figure(width, height, rows=rows, columns=columns)
    for ax, pair in zip(axes, pairs, strict=False):
        _draw(ax, trials, pareto_front(result), pair, goals)
    for ax in axes[len(pairs) :]:
        ax.set_visible(False)
    legend(axes[0], loc="best")
    return figure


def _draw(
    ax: Axes, trials: Sequence[TrialView], front: Sequence[TrialView], pair: tuple[str, str], goals: Goals
) -> None:
    on_front = {trial.trial_id for trial in front}
    kept = [t for t in trials if _violation(t) <= 0.0 and t.trial_id not in on_front]
    missed = [t for t in trials if _violation(t) > 0.0]
    x, y = _values(trials, pair[0]), _values(trials, pair[1])
    for scale, values in (("x", x), ("y", y)):
        if looks_logarithmic(values):
            getattr(ax, f"set_{scale}scale")("log")
    ax.plot(_values(kept, pair[0]), _values(kept, pair[1]), "o", color=FAINT, ms=4, label="beaten")
    if missed:
        name = "misses a constraint"
        ax.plot(_values(missed, pair[0]), _values(missed, pair[1]), "x", color=BAD, ms=5, label=name)
    points = sorted(zip(_values(front, pair[0]), _values(front, pair[1]), strict=True))
    if points:
        style = "o-" if len(goals.objectives) == 2 else "o"
        ax.plot(
            [p[0] for p in points],
            [p[1] for p in points],
            style,
            color=GOOD,
            ms=5.5,
            linewidth=1.4,
            drawstyle=_drawstyle(pair, goals),
            label="Pareto front" if len(goals.objectives) > 1 else "best",
            gid="front",
        )
    for constraint in goals.constraints:
        if constraint.metric in pair:
            line = ax.axvline if constraint.metric == pair[0] else ax.axhline
            line(constraint.bound, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
    ax.set_xlabel(_title(pair[0], goals))
    ax.set_ylabel(_title(pair[1], goals))
    ax.xaxis.label.set_color(INK)
    ax.yaxis.label.set_color(INK)


def _drawstyle(pair: tuple[str, str], goals: Goals) -> str:
    """Steps through what is reached for sure: along x, y changes where the next trial takes over."""
    first = next((o.mode for o in goals.objectives if o.metric == pair[0]), "min")
    return "steps-pre" if first == "max" else "steps-post"


def _title(metric: str, goals: Goals) -> str:
    mode = next((o.mode for o in goals.objectives if o.metric == metric), None)
    arrow = {"max": " → better", "min": " ← better"}
    return plain(metric) + ("" if mode is None else arrow[mode])


def _values(trials: Sequence[TrialView], metric: str) -> list[float]:
    nan = float("nan")
    return [nan if t.best is None else t.best.metrics.get(metric, nan) for t in trials]


def _violation(trial: TrialView) -> float:
    return 0.0 if trial.best is None else trial.best.violation
