"""Picture of two hyper-parameters together: a model's view of the metric between the trials."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from numpy.typing import NDArray

from autodl.report.importance import encode_label
from autodl.report.plot_space import chosen_labels, is_numeric, value_names
from autodl.report.plot_style import GOOD, INK, MUTED, PAPER, empty, looks_logarithmic, new_figure, plain
from autodl.report.ranking import ranked
from autodl.report.view import ResultView, TrialView
from autodl.trial import TrialState

_GRID = 60
_MOST = 300  # trials the model learns from
_SHADES = 12
_Floats = NDArray[np.float64]


def plot_contour(result: ResultView, width: float, labels: Sequence[str] | None = None) -> Figure:
    """The metric over two labels, interpolated; dots are trials, the best one ringed.

    A Gaussian process over these two labels alone makes the surface: what the others do is noise
    to it. Trials in which one of the two is inactive are left out.
    """
    sound = [t for t in result.trials if t.best is not None and t.state != TrialState.FAILED]
    trials = ranked(sound)[::-1]  # the best is drawn last, on top
    pair = chosen_labels(trials, labels, 2)
    trials = [t for t in trials if all(label in t.config for label in pair)]
    if len(pair) < 2 or len(trials) < 4:
        return empty(width, "Too little to tell: it takes two labels that vary, and four trials with both.")
    scales = [_Scale(trials, label) for label in pair]
    units = np.column_stack([scale.units for scale in scales])
    values = np.array([t.best.value for t in trials if t.best is not None], dtype=np.float64)
    figure, (ax,) = new_figure(width, min(4.2, 0.85 * width))
    surface = _surface(units[-_MOST:], values[-_MOST:])
    colours = "Blues" if result.mode == "max" else "Blues_r"
    ticks = np.linspace(0.0, 1.0, _GRID)
    filled = ax.contourf(ticks, ticks, surface, _SHADES, cmap=colours, alpha=0.75)
    ax.scatter(units[:, 0], units[:, 1], s=16, c=INK, edgecolors=PAPER, linewidths=0.5)
    ax.scatter(
        units[-1, 0], units[-1, 1], s=90, facecolors="none", edgecolors=GOOD, linewidths=2.0, gid="best"
    )
    for axis, scale in zip((ax.xaxis, ax.yaxis), scales, strict=True):
        axis.set_ticks(scale.ticks, scale.names)
        axis.set_label_text(plain(scale.label))
    ax.grid(False)
    ax.set_xlim(-0.02, 1.02)
    ax.set_ylim(-0.02, 1.02)
    _bar(figure, ax, filled, result.metric)
    return figure


def _bar(figure: Figure, ax: Axes, filled: ContourSet, metric: str) -> None:
    bar = figure.colorbar(filled, ax=ax, pad=0.02)
    bar.set_label(plain(metric), color=MUTED, fontsize=9.5)
    bar.ax.tick_params(colors=MUTED, labelsize=9)
    bar.outline.set_visible(False)


def _surface(units: _Floats, values: _Floats) -> _Floats:
    """Predicted values on the grid: (grid, grid), rows along the second label.

    Args:
        units: (n, 2) in [0, 1].
        values: (n,).
    """
    from autodl.searchers.gaussian_process import GaussianProcess  # noqa: PLC0415  # brings scipy

    spread = float(values.std()) or 1.0
    model = GaussianProcess.fit(units, (values - values.mean()) / spread, np.arange(2))
    ticks = np.linspace(0.0, 1.0, _GRID)
    x, y = np.meshgrid(ticks, ticks)
    means, _ = model.predict(np.column_stack([x.ravel(), y.ravel()]))
    surface: _Floats = means[:, 0].reshape(x.shape) * spread + values.mean()
    return surface


class _Scale:
    """One label's values in [0, 1] and the ticks beside them.

    Attributes:
        label: the label.
        units: (n,).
        ticks: positions in [0, 1].
        names: of the ticks.
    """

    def __init__(self, trials: Sequence[TrialView], label: str) -> None:
        self.label = label
        codes = encode_label([t.config for t in trials], label)
        if is_numeric(trials, label):
            logarithmic = looks_logarithmic(codes)
            scaled = np.log10(codes) if logarithmic else codes
            low, high = float(scaled.min()), float(scaled.max())
            shown = _round_ticks(low, high, logarithmic)
            self.units = (scaled - low) / (high - low)
            self.ticks = [(tick - low) / (high - low) for tick in shown]
            self.names = [f"{10**tick if logarithmic else tick:.4g}" for tick in shown]
            return
        self.names = [plain(name, 14) for name in value_names(trials, label)]
        count = max(len(self.names), 2)
        self.units = (codes + 0.5) / count
        self.ticks = [(position + 0.5) / count for position in range(len(self.names))]


def _round_ticks(low: float, high: float, logarithmic: bool) -> list[float]:
    """Between the ends; logarithms where asked, of 1, 2 and 5 times powers of ten or of these alone."""
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415  # beside its only use

    if not logarithmic:
        return [float(step) for step in MaxNLocator(nbins=5).tick_values(low, high) if low <= step <= high]
    for digits in ((1.0, 2.0, 5.0), (1.0,)):
        powers = range(math.floor(low), math.ceil(high) + 1)
        ticks = [power + math.log10(digit) for power in powers for digit in digits]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) <= 7:
            break
    return inside
