"""Layers one below another, in columns where there are many, with arcs for skips."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path

from autodl.nas.picture import Chain, Step
from autodl.report.plot_style import FAINT, GOOD, INK, LINE, MUTED, plain

ROW = 0.25
"""Height of one layer, inches."""
LETTER = 0.075
"""Width of a letter, inches."""
ROWS = 24
"""Layers of one column, where there are no skips."""
LIMIT = 60
"""Letters of a name or text that are shown."""
MARGIN = 0.12


def chain_size(chain: Chain) -> tuple[float, float]:
    """Width and height of a row's picture, inches."""
    steps = _shown(chain)
    columns, rows = _grid(chain)
    names, texts = _widths(steps)
    arcs = 0.15 + 0.09 * max((b - a for a, b in chain.skips), default=0)
    return columns * (names + texts + 0.45) + arcs + 2 * MARGIN, rows * ROW + 2 * MARGIN


def draw_chain(ax: Axes, chain: Chain) -> None:
    """Draw a row on axes whose unit is an inch, y downwards."""
    steps = _shown(chain)
    _, rows = _grid(chain)
    names, texts = _widths(steps)
    groups = list(dict.fromkeys(step.group for step in steps))
    for number, step in enumerate(steps):
        column, row = divmod(number, rows)
        x = MARGIN + column * (names + texts + 0.45)
        y = MARGIN + (row + 0.5) * ROW
        stripe = GOOD if groups.index(step.group) % 2 else FAINT
        ax.add_patch(Rectangle((x, y - ROW / 2 + 0.02), 0.05, ROW - 0.04, facecolor=stripe, linewidth=0))
        ax.add_patch(
            Rectangle(
                (x + names + 0.1, y - ROW / 2 + 0.02),
                texts + 0.15,
                ROW - 0.04,
                facecolor="none",
                edgecolor=LINE,
                linewidth=0.8,
            )
        )
        ax.text(x + 0.12, y, plain(step.name, LIMIT), color=MUTED, fontsize=8, va="center")
        ax.text(x + names + 0.17, y, plain(step.text, LIMIT), color=INK, fontsize=8.5, va="center")
    first = 1 if len(steps) > len(chain.steps) else 0
    for source, target in chain.skips:
        _arc(ax, MARGIN + names + texts + 0.25, source + first, target + first)


def _arc(ax: Axes, x: float, source: int, target: int) -> None:
    """From the lower part of one row's end to the upper part of another's."""
    start, end = MARGIN + (source + 0.6) * ROW, MARGIN + (target + 0.4) * ROW
    reach = x + 0.12 * (target - source)
    points = [(x, start), (reach, start), (reach, end), (x, end)]
    path = Path(points, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])
    ax.add_patch(PathPatch(path, facecolor="none", edgecolor=GOOD, linewidth=1.0))


def _shown(chain: Chain) -> list[Step]:
    """The layers, after the input if a skip starts there."""
    needs_input = any(source < 0 for source, _ in chain.skips)
    return [*([Step("input", "", "input")] if needs_input else []), *chain.steps]


def _grid(chain: Chain) -> tuple[int, int]:
    """Columns, and rows of each."""
    count = max(1, len(_shown(chain)))
    columns = 1 if chain.skips else math.ceil(count / ROWS)
    return columns, math.ceil(count / columns)


def _widths(steps: list[Step]) -> tuple[float, float]:
    """Of names and of texts, inches."""
    names = max((min(LIMIT, len(step.name)) for step in steps), default=1)
    texts = max((min(LIMIT, len(step.text)) for step in steps), default=1)
    return 0.12 + LETTER * names, LETTER * texts
