import re

import matplotlib as mpl

from autodl.report.plot_style import GOOD, new_figure
from autodl.report.svg import themed_svg


def drawn(value: float):
    figure, (ax,) = new_figure(4.0, 2.0)
    ax.plot([0, 1], [0, value], color=GOOD, label="a < b & c")
    ax.set_xlabel("-->")
    return figure


def test_stays_text_and_takes_the_theme():
    before = mpl.rcParams["svg.fonttype"]
    svg = themed_svg(drawn(1.0))
    assert svg.startswith("<svg")
    assert svg.endswith("</svg>")
    assert "viewBox" in svg.partition(">")[0]
    assert "width=" not in svg.partition(">")[0]
    assert "var(--good)" in svg
    assert "http" not in svg
    assert "--&gt;" in svg
    assert mpl.rcParams["svg.fonttype"] == before


def test_same_figure_same_markup_other_figure_other_ids():
    assert themed_svg(drawn(1.0)) == themed_svg(drawn(1.0))
    first, second = (set(re.findall(r'\bid="([^"]*)"', themed_svg(drawn(v)))) for v in (1.0, 2.0))
    assert first
    assert first.isdisjoint(second)
