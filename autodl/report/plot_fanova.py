"""Picture of functional ANOVA: what each hyper-parameter explains alone, and which pairs add to it."""

from __future__ import annotations

from matplotlib.figure import Figure

from autodl.report.fanova import effects
from autodl.report.plot_style import FAINT, GOOD, MUTED, empty, legend, new_figure, plain
from autodl.report.view import ResultView
from autodl.report.wording import count

_ALONE, _PAIRS = 12, 4  # bars at most
_LEAST = 0.01  # pairs that explain less are not worth a bar


def plot_fanova(result: ResultView, width: float) -> Figure:
    """Each label's share of the variance, then the strongest pairs; see `autodl.report.fanova`."""
    found = effects(result.trials, space=getattr(result, "space", None))
    if not found.alone or sum(found.alone.values()) == 0.0:
        return empty(width, f"Too little to tell: {count(found.num_trials, 'scored trial')}.")
    alone = list(found.alone.items())[:_ALONE]
    pairs = [(f"{a} with {b}", share) for (a, b), share in found.pairs.items() if share >= _LEAST][:_PAIRS]
    bars = [*alone, *pairs]
    figure, (ax,) = new_figure(width, 0.9 + 0.3 * len(bars))
    split = len(alone)
    ax.barh(range(split), [s for _, s in alone], height=0.6, color=GOOD, label="alone")
    if pairs:
        rows = range(split, len(bars))
        ax.barh(rows, [s for _, s in pairs], height=0.6, color=FAINT, label="together, beyond that")
    for row, (_, share) in enumerate(bars):
        ax.text(share + 0.006, row, f"{share:.0%}", va="center", fontsize=9, color=MUTED)
    ax.set_yticks(range(len(bars)), [plain(name) for name, _ in bars])
    ax.invert_yaxis()
    ax.grid(False)
    ax.set_xlim(0.0, max(share for _, share in bars) * 1.15 + 0.02)
    ax.set_xlabel("share of the variance over the whole space")
    if pairs:
        legend(ax, loc="lower right")
    return figure
