"""Pictures of the search space: which hyper-parameters were tried, and how they did."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from autodl.report.importance import encode_label, importances
from autodl.report.plot_style import (
    FAINT,
    GOOD,
    INK,
    LINE,
    MUTED,
    PAPER,
    empty,
    looks_logarithmic,
    new_figure,
    plain,
)
from autodl.report.ranking import config_labels, ranked
from autodl.report.view import ResultView, TrialView
from autodl.report.wording import count, format_config_value, format_value

_NOTHING_VARIES = "Nothing to compare: fewer than two scored trials, or no hyper-parameter varied."
_OFF = -0.14
"""Height of inactive labels on a parallel-coordinates axis that runs from 0 to 1."""


def plot_importance(result: ResultView, width: float) -> Figure:
    """Each label's share of what decided the score; see `autodl.report.importance`."""
    found = importances(result.trials)
    if not found.values or sum(found.values.values()) == 0.0:
        return empty(width, f"Too little to tell: {count(found.num_trials, 'scored trial')}.")
    labels = list(found.values)[:15]
    shares = [found.values[label] for label in labels]
    figure, (ax,) = new_figure(width, 0.9 + 0.3 * len(labels))
    ax.barh(range(len(labels)), shares, height=0.6, color=GOOD)
    for row, share in enumerate(shares):
        ax.text(share + 0.01, row, f"{share:.0%}", va="center", fontsize=9, color=MUTED)
    ax.set_yticks(range(len(labels)), [plain(label) for label in labels])
    ax.invert_yaxis()
    ax.grid(False)
    ax.set_xlim(0.0, max(shares) * 1.15 + 0.02)
    ax.set_xlabel(f"share of importance\n(forest explains {found.explained:.0%} of the variance)")
    return figure


def plot_parallel(result: ResultView, width: float, labels: Sequence[str] | None = None) -> Figure:
    """A line for each trial through an axis for each label; the best quarter stands out.

    The axes are the most important labels that vary, as many as the width holds, then the metric.
    """
    trials = [t for t in reversed(ranked(result.trials)) if t.best is not None]
    labels = chosen_labels(trials, labels, max(2, int(width / 1.1)))
    if len(trials) < 2 or not labels:
        return empty(width, _NOTHING_VARIES)
    figure, (ax,) = new_figure(width, 3.5)
    axes = [_Axis.of_label(trials, label) for label in labels]
    axes.append(_Axis.of_numbers(result.metric, _values(trials)))
    heights = np.column_stack([axis.heights for axis in axes])
    first_good = len(trials) - ceil(len(trials) / 4)
    for row, line in enumerate(np.where(np.isnan(heights), _OFF, heights)):
        good, best = row >= first_good, row == len(trials) - 1
        ax.plot(
            range(len(axes)),
            line,
            color=GOOD if good else FAINT,
            linewidth=2.2 if best else 1.0,
            alpha=1.0 if best else 0.75,
            gid=f"trial-{trials[row].trial_id}",
        )
    _draw_axes(ax, axes, inactive=bool(np.isnan(heights).any()), narrow=width / len(axes) < 1.1)
    return figure


def plot_slices(result: ResultView, width: float, labels: Sequence[str] | None = None) -> Figure:
    """The metric against each label that varies, most important first."""
    trials = [t for t in reversed(ranked(result.trials)) if t.best is not None]
    labels = chosen_labels(trials, labels, 12)
    if len(trials) < 2 or not labels:
        return empty(width, _NOTHING_VARIES)
    columns = max(1, min(len(labels), int(width / 1.75)))
    rows = ceil(len(labels) / columns)
    figure, axes = new_figure(width, 0.3 + 1.9 * rows, rows=rows, columns=columns)
    for ax, label in zip(axes, labels, strict=False):
        _draw_slice(ax, trials, label)
    for position, ax in enumerate(axes):
        ax.set_visible(position < len(labels))
        ax.set_ylim(_padded_limits(_values(trials)))
        if position % columns == 0:
            ax.set_ylabel(plain(result.metric))
        else:
            ax.tick_params(labelleft=False)
    return figure


def _values(trials: Sequence[TrialView]) -> NDArray[np.float64]:
    """Each trial's best value, NaN without one; shape (trials,)."""
    return np.array([np.nan if t.best is None or t.best.value is None else t.best.value for t in trials])


def _padded_limits(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    pad = 0.06 * (high - low) or 0.5
    return low - pad, high + pad


def short_label(label: str) -> str:
    """The last part of a nested label where the whole is long: ``optimizer/weight_decay``."""
    return label if len(label) <= 16 else label.rsplit("/", 1)[-1]


def _draw_slice(ax: Axes, trials: Sequence[TrialView], label: str) -> None:
    """Trials come worst first, so that the best is drawn last, on top."""
    active = [t for t in trials if label in t.config]
    codes = encode_label([t.config for t in active], label)
    values = _values(active)
    colours = [GOOD if t is trials[-1] else FAINT for t in active]
    ax.scatter(codes, values, s=22, c=colours, edgecolors="white", linewidths=0.5)
    ax.set_xlabel(plain(short_label(label), 20))
    if is_numeric(active, label):
        if looks_logarithmic(codes):
            ax.set_xscale("log")
            ax.minorticks_off()
        else:
            ax.locator_params(axis="x", nbins=4)
        return
    names = value_names(active, label)
    crowded = len(names) > 2 and sum(map(len, names)) > 14
    shown = [plain(name, 11) for name in names]
    ax.set_xticks(
        range(len(names)), shown, rotation=30 if crowded else 0, ha="right" if crowded else "center"
    )
    ax.set_xlim(-0.5, len(names) - 0.5)


class _Axis:
    """One axis of parallel coordinates: heights in [0, 1] of each trial and the ticks beside it."""

    def __init__(self, title: str, heights: NDArray[np.float64], ticks: list[tuple[float, str]]) -> None:
        self.title, self.heights, self.ticks = title, heights, ticks

    @classmethod
    def of_label(cls, trials: Sequence[TrialView], label: str) -> _Axis:
        """The axis of a hyper-parameter; heights are NaN where it is inactive."""
        codes = encode_label([t.config for t in trials], label)
        if is_numeric(trials, label):
            return cls.of_numbers(label, codes)
        names = value_names(trials, label)
        top = max(len(names) - 1, 1)
        return cls(label, codes / top, [(i / top, name) for i, name in enumerate(names)])

    @classmethod
    def of_numbers(cls, title: str, values: NDArray[np.float64]) -> _Axis:
        """The axis of a number; logarithmic where the values are spread so."""
        scaled = np.log(values) if looks_logarithmic(values) else values
        low, high = np.nanmin(scaled), np.nanmax(scaled)
        heights = (scaled - low) / (high - low) if high > low else np.where(np.isnan(scaled), np.nan, 0.5)
        ends = (
            [(0.0, np.nanmin(values)), (1.0, np.nanmax(values))] if high > low else [(0.5, np.nanmin(values))]
        )
        whole = bool(np.all(np.mod(values[~np.isnan(values)], 1.0) == 0.0))
        return cls(title, heights, [(y, format_value(int(v) if whole else float(v))) for y, v in ends])


def _draw_axes(ax: Axes, axes: list[_Axis], *, inactive: bool, narrow: bool) -> None:
    small: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": 8, "color": MUTED}
    backing = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.8, "alpha": 0.85}
    for x, axis in enumerate(axes):
        ax.plot([x, x], [0.0, 1.0], color=LINE, linewidth=1.0, zorder=0.5)
        ticks = axis.ticks if len(axis.ticks) <= 8 else [axis.ticks[0], axis.ticks[-1]]
        for height, text in ticks:
            ax.annotate(plain(text, 9 if narrow else 14), (x, height), xytext=(4, 0), bbox=backing, **small)
    if inactive:
        ax.annotate("not used", (0, _OFF), xytext=(-4, 0), ha="right", **small)
    titles = [plain(axis.title, 24).replace("/", "/\n") for axis in axes]
    ax.set_xticks(range(len(axes)), titles, fontsize=8 if narrow else 9, color=INK)
    ax.xaxis.tick_top()
    ax.tick_params(axis="x", length=0)
    ax.set_yticks([])
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.set_xlim(-0.4 if inactive else -0.15, len(axes) - 0.45)
    ax.grid(False)


def chosen_labels(trials: Sequence[TrialView], labels: Sequence[str] | None, most: int) -> list[str]:
    """At most `most` labels with at least two values: the first of `labels`, or the most important."""
    candidates = config_labels(trials) if labels is None else labels
    varying = [c for c in candidates if len({t.config[c] for t in trials if c in t.config}) > 1]
    if labels is None and len(trials) > 1:
        shares = importances(trials).values
        varying.sort(key=lambda label: -shares.get(label, 0.0))
    return varying[:most]


def is_numeric(trials: Sequence[TrialView], label: str) -> bool:
    """Whether all values of a label are numbers; booleans are choices."""
    values = [t.config[label] for t in trials if label in t.config]
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def value_names(trials: Sequence[TrialView], label: str) -> list[str]:
    """Names of a label's values, in the order of `encode_label`'s indices."""
    values = {repr(t.config[label]): t.config[label] for t in trials if label in t.config}
    return [format_config_value(values[key]) for key in sorted(values)]
