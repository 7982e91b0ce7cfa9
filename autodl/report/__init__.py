"""What a person sees of a run: leaderboard, plots, progress, HTML report.

Names load on first use, so that the layers which only need the protocols pay for nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autodl.report.content import ArchitectureUse as ArchitectureUse
    from autodl.report.content import Audit as Audit
    from autodl.report.content import AuditIssue as AuditIssue
    from autodl.report.content import AugmentationUse as AugmentationUse
    from autodl.report.content import Confusion as Confusion
    from autodl.report.content import Fact as Fact
    from autodl.report.content import Mistake as Mistake
    from autodl.report.content import ReportContent as ReportContent
    from autodl.report.content import ReportFigure as ReportFigure
    from autodl.report.content import Table as Table
    from autodl.report.content import thumbnail as thumbnail
    from autodl.report.from_run import content_from_run as content_from_run
    from autodl.report.html import render as render
    from autodl.report.html import write_report as write_report
    from autodl.report.importance import Importances as Importances
    from autodl.report.importance import importances as importances
    from autodl.report.plots import plot as plot
    from autodl.report.progress import ProgressDisplay as ProgressDisplay
    from autodl.report.view import ResultView as ResultView
    from autodl.report.view import RunView as RunView
    from autodl.report.view import TrialView as TrialView
    from autodl.report.wording import format_duration as format_duration

_HOME = {
    "ArchitectureUse": "content",
    "Audit": "content",
    "AuditIssue": "content",
    "AugmentationUse": "content",
    "Confusion": "content",
    "Fact": "content",
    "Importances": "importance",
    "Mistake": "content",
    "ProgressDisplay": "progress",
    "ReportContent": "content",
    "ReportFigure": "content",
    "ResultView": "view",
    "RunView": "view",
    "Table": "content",
    "TrialView": "view",
    "content_from_run": "from_run",
    "format_duration": "wording",
    "importances": "importance",
    "plot": "plots",
    "render": "html",
    "thumbnail": "content",
    "write_report": "html",
}
"""Public name -> module."""

__all__ = [
    "ArchitectureUse",
    "Audit",
    "AuditIssue",
    "AugmentationUse",
    "Confusion",
    "Fact",
    "Importances",
    "Mistake",
    "ProgressDisplay",
    "ReportContent",
    "ReportFigure",
    "ResultView",
    "RunView",
    "Table",
    "TrialView",
    "content_from_run",
    "format_duration",
    "importances",
    "plot",
    "render",
    "thumbnail",
    "write_report",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
