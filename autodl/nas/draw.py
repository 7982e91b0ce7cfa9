"""Architectures as pictures: cells as graphs, rows of layers as rows, anything else as its decisions."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from autodl.nas.draw_cell import cell_size, draw_cell
from autodl.nas.draw_chain import chain_size, draw_chain
from autodl.nas.picture import Chain, Graph, Picture, Step
from autodl.nas.space import Space
from autodl.report.plot_style import INK, PAPER, plain
from autodl.spaces import Value

TITLE_HEIGHT = 0.35
"""Of each picture, inches."""


def draw(space: Space, arch: Mapping[str, Value]) -> Figure:
    """A picture of an architecture, in colours that the HTML report knows; text stays text in an SVG.

    Args:
        space: of the architecture. Published spaces show their cells or layers; others the row of
            their decisions. A space of your own shows what its ``pictures(arch)`` returns.
        arch: an architecture.

    Raises:
        ConfigError: the architecture does not belong to the space.

    Example:
        >>> from autodl.nas.spaces import DARTS
        >>> space = DARTS(cells=3, width=2).space(num_classes=10)
        >>> len(draw(space, space.sample(0)).axes)
        2
    """
    arch = space.validate(arch)
    return draw_pictures(pictures_of(space, arch))


def pictures_of(space: Space, arch: Mapping[str, Value]) -> list[Picture]:
    """What is shown of an architecture, which must be canonical."""
    own = getattr(space, "pictures", None)
    found: list[Picture] = list(own(arch)) if callable(own) else []
    if found:
        return found
    steps = [Step(label, str(value), label.partition("/")[0]) for label, value in arch.items()]
    return [Chain("decisions", tuple(steps))]


def draw_pictures(pictures: list[Picture]) -> Figure:
    """Pictures below each other.

    Args:
        pictures: at least one.
    """
    sizes = [cell_size(p) if isinstance(p, Graph) else chain_size(p) for p in pictures]
    width = max(size[0] for size in sizes)
    heights = [size[1] + TITLE_HEIGHT for size in sizes]
    figure = Figure(figsize=(width, sum(heights)), facecolor=PAPER)
    top = sum(heights)
    for picture, (own_width, own_height), height in zip(pictures, sizes, heights, strict=True):
        bottom = top - height
        place = (0.0, bottom / sum(heights), own_width / width, own_height / sum(heights))
        ax = _canvas(figure, place, own_width, own_height)
        # Data coordinates are inches, y downwards; the title stands above the picture's own area.
        ax.text(0.12, -0.12, plain(picture.title), color=INK, fontsize=11, va="center", weight="bold")
        if isinstance(picture, Graph):
            draw_cell(ax, picture)
        else:
            draw_chain(ax, picture)
        top = bottom
    return figure


def _canvas(figure: Figure, place: tuple[float, float, float, float], width: float, height: float) -> Axes:
    ax = figure.add_axes(place)
    ax.set_axis_off()
    ax.set_xlim(0.0, width)
    ax.set_ylim(height, 0.0)
    return ax
