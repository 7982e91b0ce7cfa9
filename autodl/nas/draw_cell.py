"""Cells as graphs from left to right; each arrow's operation stands where the arrow ends."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path

from autodl.nas.picture import Edge, Graph
from autodl.report.plot_style import FAINT, GOOD, INK, PAPER, plain

ROW = 0.24
"""Height of one arrow's end, inches."""
GAP = 0.22
"""Between boxes of a column, inches."""
BOX = 0.72
"""Width of a box, inches."""
BEND = 0.75
"""Width of the space in which arrows bend, inches."""
LETTER = 0.075
"""Width of a letter of an operation's name, inches."""
MARGIN = 0.15


@dataclass(frozen=True, slots=True)
class Placed:
    """A box: left end, middle and height, inches, y downwards."""

    left: float
    middle: float
    height: float


def columns_of(graph: Graph) -> list[list[str]]:
    """Nodes by the longest way to them from an input; what nothing else reads stands last."""
    depth: dict[str, int] = {}
    for node in graph.nodes:
        depth[node] = 1 + max((depth[e.source] for e in graph.edges if e.target == node), default=-1)
    columns: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for node in graph.nodes:
        columns[depth[node]].append(node)
    return columns


def cell_size(graph: Graph) -> tuple[float, float]:
    """Width and height of a cell's picture, inches."""
    columns = columns_of(graph)
    widths = [_column_width(graph, column) for column in columns]
    tallest = max(_column_height(graph, column) for column in columns)
    return sum(widths) + 2 * MARGIN, tallest + 2 * MARGIN


def place(graph: Graph) -> dict[str, Placed]:
    """Where each node's box is."""
    columns = columns_of(graph)
    _, height = cell_size(graph)
    right, found = MARGIN, {}
    for column in columns:
        right += _column_width(graph, column)
        y = (height - _column_height(graph, column)) / 2
        for node in column:
            own = _box_height(graph, node)
            found[node] = Placed(right - BOX, y + own / 2, own)
            y += own + GAP
    return found


def draw_cell(ax: Axes, graph: Graph) -> None:
    """Draw a cell on axes whose unit is an inch, y downwards."""
    boxes = place(graph)
    for node, box in boxes.items():
        incoming = sorted(_incoming(graph, node), key=lambda edge: boxes[edge.source].middle)
        # Arrows without an operation end in one point, others below each other.
        step = ROW if any(edge.text for edge in incoming) else 0.0
        for number, edge in enumerate(incoming):
            y = box.middle + (number - (len(incoming) - 1) / 2) * step
            _arrow(ax, boxes[edge.source], box, y, edge)
    for node, box in boxes.items():
        is_inner = any(edge.target == node and edge.text for edge in graph.edges)
        ax.add_patch(
            FancyBboxPatch(
                (box.left, box.middle - box.height / 2),
                BOX,
                box.height,
                boxstyle="round,pad=0,rounding_size=0.06",
                facecolor=PAPER,
                edgecolor=GOOD if is_inner else FAINT,
                linewidth=1.2,
                zorder=3,
            )
        )
        middle = box.left + BOX / 2
        ax.text(middle, box.middle, plain(node), color=INK, fontsize=9, ha="center", va="center", zorder=4)


def _arrow(ax: Axes, source: Placed, target: Placed, y: float, edge: Edge) -> None:
    start, label_end = source.left + BOX, target.left - 0.1
    end = label_end - LETTER * len(edge.text)
    bend = max(0.3, (end - start) / 2)
    points = [
        (start, source.middle),
        (start + bend, source.middle),
        (end - bend, y),
        (end, y),
        (target.left, y),
    ]
    codes = [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4, Path.LINETO]
    ax.add_patch(PathPatch(Path(points, codes), facecolor="none", edgecolor=FAINT, linewidth=1.0, zorder=1))
    tip = [(target.left - 0.07, y - 0.035), (target.left, y), (target.left - 0.07, y + 0.035)]
    head = Path([*tip, tip[0]], [Path.MOVETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY])
    ax.add_patch(PathPatch(head, facecolor=FAINT, edgecolor="none", zorder=2))
    if edge.text:
        ax.text(
            label_end,
            y,
            plain(edge.text),
            color=INK,
            fontsize=8,
            ha="right",
            va="center",
            zorder=2,
            bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.0},
        )


def _incoming(graph: Graph, node: str) -> list[Edge]:
    return [edge for edge in graph.edges if edge.target == node]


def _box_height(graph: Graph, node: str) -> float:
    labelled = sum(1 for edge in _incoming(graph, node) if edge.text)
    return max(1, labelled) * ROW + 0.1


def _column_height(graph: Graph, column: list[str]) -> float:
    return sum(_box_height(graph, node) for node in column) + GAP * (len(column) - 1)


def _column_width(graph: Graph, column: list[str]) -> float:
    texts = [len(edge.text) for node in column for edge in _incoming(graph, node)]
    return BOX if not texts else BOX + BEND + LETTER * max(texts)
