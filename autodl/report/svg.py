"""Matplotlib figures as SVG that lives inside an HTML page and follows its light or dark theme."""

from __future__ import annotations

import hashlib
import io
import re

import matplotlib as mpl
from matplotlib.figure import Figure

from autodl.report.plot_style import ROLES

_PROLOG = re.compile(r"\A.*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_NAMESPACES = re.compile(r'\s+xmlns(?::\w+)?="[^"]*"')
_FONT = re.compile(r"'DejaVu Sans'[^;\"]*")
_COMMENTS = re.compile(r"<!--.*?-->\s*", re.DOTALL)
_COLOURS = re.compile("|".join(ROLES.values()), re.IGNORECASE)


def themed_svg(figure: Figure) -> str:
    """The figure as an ``<svg>`` element for use inside HTML.

    Text stays text (selectable, in the page's font), the colours of `plot_style.ROLES` become CSS
    variables, ids are made unique to this figure, and no address of the outside is left in it.
    """
    buffer = io.StringIO()
    # savefig reads these from the settings in force; rc_context puts them back at once.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "autodl"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    prefix = "f" + hashlib.sha256(text.encode()).hexdigest()[:8]
    for pattern in (_PROLOG, _METADATA, _COMMENTS, _NAMESPACES):
        text = pattern.sub("", text)
    head, _, body = text.partition(">")
    head = re.sub(r'\s(width|height|version)="[^"]*"', "", head)
    text = _FONT.sub("var(--sans)", f"{head}>{body}")
    roles = {colour.lower(): role for role, colour in ROLES.items()}
    text = _COLOURS.sub(lambda match: f"var(--{roles[match[0].lower()]})", text)
    text = re.sub(r'\bid="([^"]*)"', rf'id="{prefix}-\1"', text)
    text = re.sub(r'xlink:href="#([^"]*)"', rf'href="#{prefix}-\1"', text)
    return re.sub(r"url\(#([^)]*)\)", rf"url(#{prefix}-\1)", text).strip()
