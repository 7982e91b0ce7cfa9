"""The end of `fit` and `resume`: save, report, summary, exit code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from autodl.cli.output import write_json, write_pairs
from autodl.cli.runs import MODEL_FILE
from autodl.cli.session import INTERRUPTED, say

if TYPE_CHECKING:
    from autodl import ImageClassifier


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be left of a fit.

    Attributes:
        path: the run directory.
        save: the model; None: in the run directory.
        report: the HTML report; None: none.
        as_json: the summary as JSON.
    """

    path: Path
    save: Path | None
    report: Path | None
    as_json: bool


def finish(classifier: ImageClassifier, wanted: Wanted) -> None:
    """Write the model, the report and the summary.

    Raises:
        typer.Exit: with 130 if the search was interrupted; all is written even so.
    """
    files = {"run": wanted.path, "model": classifier.save(wanted.save or wanted.path / MODEL_FILE)}
    if wanted.report is not None:
        files["report"] = classifier.report(wanted.report)
    summary = classifier.fit_summary()
    if wanted.as_json:
        write_json({**summary, **files})
    else:
        write_pairs([*_told(summary), *((name, str(path)) for name, path in files.items())])
    if summary["stopped_by"] == "interrupted":
        say(f"interrupted; the model is what the search had come to. Go on: autodl resume {wanted.path}")
        raise typer.Exit(INTERRUPTED)


def _told(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """The summary's main facts as people read them."""
    from autodl.report.wording import count, format_duration  # noqa: PLC0415  # keeps the help fast

    score = f"{summary['validation_score']:.4f} on {count(summary['validated_on'], 'held-out image')}"
    images = count(summary["images"], "image")
    if summary["images_skipped"]:
        images += f", {summary['images_skipped']:,} left out"
    networks = ", ".join(sorted({member["network"] for member in summary["ensemble"]}))
    architecture = summary.get("architecture")
    found = []
    if architecture is not None:
        how = f"{architecture['space']} by {architecture['strategy']}"
        found.append(("architecture", f"{how}, {architecture['parameters']:,} parameters"))
    return [
        (summary["metric"], score),
        ("data", f"{images}, {count(len(summary['classes']), 'class', 'classes')}"),
        ("trials", f"{summary['num_trials']}, {len(summary['ensemble'])} of them predict ({networks})"),
        *found,
        ("time", format_duration(summary["seconds"])),
    ]
