"""Pictures of a run: ``plot("curves", result)`` and its kin.

Each is a `matplotlib.figure.Figure`; notebooks show it by itself, ``figure.savefig(path)`` writes it.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from autodl.errors import OptionError, UnknownNameError
from autodl.report.plot_contour import plot_contour
from autodl.report.plot_fanova import plot_fanova
from autodl.report.plot_pareto import plot_pareto
from autodl.report.plot_space import plot_importance, plot_parallel, plot_slices
from autodl.report.plot_style import (
    BAD,
    FAINT,
    GOOD,
    INK,
    WIDE,
    empty,
    legend,
    new_figure,
    plain,
    time_scale,
)
from autodl.report.ranking import config_labels, ranked
from autodl.report.view import ResultView, TrialView
from autodl.report.wording import format_value
from autodl.trial import TrialState

NO_SCORES = "No trial has reported a score."


def plot(
    kind: str, result: ResultView, *, width: float = WIDE, labels: Sequence[str] | None = None
) -> Figure:
    """Draw one picture of a run.

    Args:
        kind: ``"curves"`` (the learning curve of every trial), ``"incumbent"`` (best so far over time),
            ``"importance"`` (of each hyper-parameter, by permutation), ``"fanova"`` (the same by functional
            ANOVA, pairs included), ``"parallel"`` (parallel coordinates of all configs), ``"slices"`` (the
            metric against each hyper-parameter), ``"contour"`` (the metric over two of them),
            ``"timeline"`` (which worker ran what, when), ``"pareto"`` (several metrics and their front).
        result: a finished run or one under way.
        width: of the figure in inches; the height follows.
        labels: hyper-parameters that ``"parallel"``, ``"slices"`` and ``"contour"`` (two) show, in this
            order; None takes the most important ones, which means fitting a forest first.

    Raises:
        UnknownNameError: no such kind; no trial has such a label.
        OptionError: `width` is below 2.
    """
    draw = KINDS.get(kind)
    if draw is None:
        raise UnknownNameError("kind of plot", kind, tuple(KINDS))
    if not width >= 2.0:
        raise OptionError(f"width must be at least 2 inches, got {width!r}")
    known = config_labels(result.trials)
    for label in labels or ():
        if label not in known:
            raise UnknownNameError("hyper-parameter", label, known)
    return draw(result, width) if kind not in BY_LABEL else BY_LABEL[kind](result, width, labels)


def plot_curves(result: ResultView, width: float) -> Figure:
    """Every trial's metric against its resource; the best trial stands out."""
    trials = [t for t in ranked(result.trials) if t.best is not None]
    if not trials:
        return empty(width, NO_SCORES)
    figure, (ax,) = new_figure(width, min(3.6, 0.85 * width))
    for trial in reversed(trials[1:]):
        x, y = _curve(trial)
        (line,) = ax.plot(x, y, color=FAINT, linewidth=1.0, marker="." if len(x) == 1 else None)
        line.set_gid(f"trial-{trial.trial_id}")
    best = trials[0]
    x, y = _curve(best)
    marker = "o" if len(x) == 1 else None
    ax.plot(x, y, color=GOOD, linewidth=2.0, marker=marker, gid=f"trial-{best.trial_id}")
    _mark_best(ax, best)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    ax.set_xlabel("epoch")
    ax.set_ylabel(plain(result.metric))
    return figure


def plot_incumbent(result: ResultView, width: float) -> Figure:
    """Best value so far against time, with every trial's best value as a dot where it ended."""
    sound = [t for t in result.trials if t.state != TrialState.FAILED]
    scored = [(t, t.best.score, t.best.value) for t in sound if t.best is not None]
    if not scored:
        return empty(width, NO_SCORES)
    figure, (ax,) = new_figure(width, min(3.2, 0.8 * width))
    end = _end(result.trials)
    size, unit = time_scale(end)
    points = sorted(
        (_ended(t, end) / size, t.trial_id, score, value)
        for t, score, value in scored
        if score is not None and value is not None
    )
    ax.plot([p[0] for p in points], [p[3] for p in points], "o", color=FAINT, ms=4, label="each trial")
    times, values, top = [], [], float("-inf")
    for when, _, score, value in points:
        if score > top:
            top = score
            times.append(when)
            values.append(value)
    ax.step(
        [*times, end / size],
        [*values, values[-1]],
        where="post",
        color=GOOD,
        linewidth=2.0,
        label="best so far",
    )
    ax.plot(times, values, "o", color=GOOD, markersize=5)
    failed = [_ended(t, end) / size for t in result.trials if t.state == TrialState.FAILED]
    if failed:
        at_foot = ax.get_xaxis_transform()
        ax.plot(failed, [0.02] * len(failed), "x", color=BAD, ms=5, transform=at_foot, label="failed")
    ax.set_xlim(left=0.0)
    ax.set_xlabel(f"{unit} since the start")
    ax.set_ylabel(plain(result.metric))
    legend(ax, loc="lower right" if result.mode == "max" else "upper right")
    return figure


def plot_timeline(result: ResultView, width: float) -> Figure:
    """A bar for each trial, on the row of the worker that ran it."""
    if not result.trials:
        return empty(width, "No trial has started.")
    workers = sorted({t.worker for t in result.trials})
    figure, (ax,) = new_figure(width, 1.1 + 0.42 * len(workers))
    end = _end(result.trials)
    size, unit = time_scale(end)
    best = next((t.trial_id for t in ranked(result.trials) if t.best is not None), None)
    for trial in result.trials:
        stop = trial.ended_s if trial.ended_s is not None else max(end, trial.started_s)
        colour = BAD if trial.state == TrialState.FAILED else GOOD if trial.trial_id == best else FAINT
        ax.barh(
            workers.index(trial.worker),
            (stop - trial.started_s) / size,
            left=trial.started_s / size,
            height=0.62,
            color=colour,
            edgecolor="white",
            linewidth=0.8,
            gid=f"trial-{trial.trial_id}",
        )
        if (stop - trial.started_s) / max(end, 1e-9) * width > 0.3:
            middle = (trial.started_s + stop) / 2.0 / size
            ax.text(
                middle,
                workers.index(trial.worker),
                str(trial.trial_id),
                ha="center",
                va="center",
                fontsize=8,
                color="white" if colour != FAINT else INK,
            )
    ax.set_yticks(range(len(workers)), [plain(w or "in process") for w in workers])
    ax.invert_yaxis()
    ax.grid(False)
    ax.set_xlim(0.0, max(end / size, 1e-9))
    ax.set_xlabel(f"{unit} since the start")
    return figure


def _curve(trial: TrialView) -> tuple[list[int], list[float]]:
    """A trial's points; a resource reported twice (a trial resumed) counts with the later report."""
    points = {r.resource: r.value for r in trial.reports if r.value is not None}
    resources = sorted(points)
    return resources, [points[r] for r in resources]


def _mark_best(ax: Axes, trial: TrialView) -> None:
    best = trial.best
    if best is None or best.value is None:
        return
    ax.plot([best.resource], [best.value], "o", color=GOOD, markersize=6)
    left, right = ax.get_xlim()
    beyond = best.resource > (left + right) / 2.0
    ax.annotate(
        f"trial {trial.trial_id}: {format_value(best.value)}",
        (best.resource, best.value),
        xytext=(0 if beyond else 6, 7),
        textcoords="offset points",
        ha="right" if beyond else "left",
        fontsize=9,
        color=GOOD,
    )
    ax.margins(y=0.14)


def _ended(trial: TrialView, end: float) -> float:
    return end if trial.ended_s is None else trial.ended_s


def _end(trials: Sequence[TrialView]) -> float:
    """The last moment known of any trial, in seconds since the start."""
    return max((t.ended_s if t.ended_s is not None else t.started_s for t in trials), default=0.0)


BY_LABEL = {"parallel": plot_parallel, "slices": plot_slices, "contour": plot_contour}
"""Kinds that can be told which hyper-parameters to show."""

KINDS = {
    "curves": plot_curves,
    "incumbent": plot_incumbent,
    "importance": plot_importance,
    "fanova": plot_fanova,
    **BY_LABEL,
    "timeline": plot_timeline,
    "pareto": plot_pareto,
}
"""Name -> function (result, width in inches) -> Figure."""
