"""Colours and axes shared by all plots.

Figures are made with `matplotlib.figure.Figure`, never pyplot, so that no global state is touched
and any thread may draw. The colours are few and fixed: the HTML report finds them in the SVG and
replaces each with the theme's colour of the same role.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

INK = "#1d242c"
MUTED = "#626c78"
FAINT = "#a9b2bc"
LINE = "#dfe3e7"
GOOD = "#1f66ad"  # the incumbent, what is right
BAD = "#c0541b"  # failures, what is wrong
PAPER = "#ffffff"
ROLES = {"paper": PAPER, "ink": INK, "muted": MUTED, "faint": FAINT, "line": LINE, "good": GOOD, "bad": BAD}
"""Role -> colour; the report's style sheet has a variable ``--<role>`` for each."""

WIDE = 7.2
"""Default width of a figure in inches."""


def new_figure(width: float, height: float, *, rows: int = 1, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """An empty figure and its axes, row by row.

    Args:
        width: in inches.
        height: in inches.
        rows: of axes.
        columns: of axes.
    """
    figure = Figure(figsize=(width, height), layout="constrained", facecolor=PAPER)
    grid = figure.subplots(rows, columns, squeeze=False)
    axes = [ax for row in grid for ax in row]
    for ax in axes:
        style(ax)
    return figure, axes


def style(ax: Axes) -> None:
    """Thin left and bottom spines, a quiet horizontal grid, small muted labels."""
    ax.set_facecolor("none")
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(LINE)
    ax.tick_params(colors=MUTED, labelcolor=MUTED, labelsize=9, length=3)
    ax.grid(True, axis="y", color=LINE, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.xaxis.label.set(color=MUTED, fontsize=9.5)
    ax.yaxis.label.set(color=MUTED, fontsize=9.5)


def plain(text: object, limit: int = 40) -> str:
    """Text for matplotlib as it is: a ``$`` in a class name is no formula; long ones are cut."""
    words = str(text)
    words = words if len(words) <= limit else words[: limit - 1] + "…"
    return words.replace("$", r"\$")


def empty(width: float, reason: str) -> Figure:
    """A figure that says why there is nothing to see."""
    figure, (ax,) = new_figure(width, 1.6)
    ax.set_axis_off()
    ax.text(0.5, 0.5, plain(reason, 200), ha="center", va="center", color=MUTED, fontsize=10, wrap=True)
    return figure


def legend(ax: Axes, **options: Any) -> None:
    """A frameless legend, if anything on the axes has a name."""
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, fontsize=9, labelcolor=MUTED, **options)


def looks_logarithmic(values: Sequence[float] | NDArray[np.float64]) -> bool:
    """True where values spread more evenly on a logarithmic scale than on a linear one.

    The test: all positive, a decade or more apart, and the median in the lowest fifth of the range.
    """
    finite = np.asarray(values, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    if finite.size < 3 or finite.min() <= 0.0 or finite.max() < 10.0 * finite.min():
        return False
    low, high = finite.min(), finite.max()
    return bool((np.median(finite) - low) / (high - low) < 0.2)


def time_scale(seconds: float) -> tuple[float, str]:
    """Divisor and unit that make a time axis up to `seconds` readable."""
    for size, unit in ((86_400.0, "days"), (3_600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2.0 * size:
            return size, unit
    return 1.0, "seconds"
