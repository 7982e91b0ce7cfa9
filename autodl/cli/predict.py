"""``autodl predict``."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autodl.cli.options import AsJson, Debug, Image, Model, Strict
from autodl.cli.output import plain, write_bytes
from autodl.cli.runs import load_model
from autodl.cli.session import BAD_IMAGES, say, session

if TYPE_CHECKING:
    from autodl.data import ImageTable
    from autodl.tasks.image_predictor import Prediction

MOST_NAMED = 20
"""Unreadable images named on stderr; the rest is counted. The predictions hold them all."""


def predict(  # noqa: PLR0913  # options of one command
    model: Model,
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGES...",
            help="Images, folders, zip or tar files, or tables with an image column; any number.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write to.", show_default="stdout")
    ] = None,
    proba: Annotated[
        bool, typer.Option("--proba", help="Add the probability of every class (columns proba_CLASS).")
    ] = False,
    image: Image = None,
    strict: Strict = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Predict the class of images: CSV with image, label and its probability.

    Images that cannot be read have no label; stderr names them.
    """
    with session(debug):
        classifier = load_model(model)
        table = read_all(images, image, classifier.predictor_.facts.get("pixel_range"))
        prediction = classifier.predictor_.predict_table(table)
        bad = _tell_of_bad_images(prediction)
        rows = _rows(prediction, classifier.predictor_.class_map.values)
        if as_json:
            content = _as_json(rows, proba)
        else:
            content = _as_csv(rows, classifier.predictor_.class_map.names if proba else ())
        write_bytes(content, output)
        if bad and strict:
            raise typer.Exit(BAD_IMAGES)


def read_all(paths: Sequence[Path], image: str | None, pixel_range: Any) -> ImageTable:
    """One table of the images of all paths; files are named by their paths.

    Raises:
        DataError: a path cannot be read; its leaves say why.
    """
    from dataclasses import replace  # noqa: PLC0415  # with the heavy imports below

    from autodl.data import ImageTable, read_images  # noqa: PLC0415  # pandas is slow to import

    pixel_range = None if pixel_range is None else (float(pixel_range[0]), float(pixel_range[1]))
    items = []
    for path in paths:
        table = read_images(path, image=image, labelled=False, pixel_range=pixel_range)
        for item in table.items:
            inside = item.name if len(paths) == 1 else f"{path}/{item.name}"
            name = str(item.source) if isinstance(item.source, Path) else inside
            items.append(replace(item, name=name))
    origin = str(paths[0]) if len(paths) == 1 else f"{len(paths)} paths"
    return ImageTable(tuple(items), origin, pixel_range=pixel_range)


def _tell_of_bad_images(prediction: Prediction) -> int:
    """Name the unreadable images on stderr; their number.

    Raises:
        BadImageError: all of them are.
    """
    from autodl.errors import BadImageError  # noqa: PLC0415  # beside its only use
    from autodl.report.wording import count  # noqa: PLC0415  # keeps the command's help fast

    reasons = {issue.name: issue for issue in prediction.issues}
    bad = [name for name, ok in zip(prediction.names, prediction.readable, strict=True) if not ok]
    if not bad:
        return 0
    lines = []
    for name in bad[:MOST_NAMED]:
        issue = reasons.get(name)
        why = "unreadable" if issue is None else f"{issue.kind}: {issue.detail}".rstrip(": ")
        lines.append(f"  {name} ({why})")
    if len(bad) > MOST_NAMED:
        lines.append(f"  and {len(bad) - MOST_NAMED} more")
    told = "\n".join(lines)
    if len(bad) == len(prediction.names):
        raise BadImageError(f"{count(len(bad), 'image')}, and not one can be read:\n{told}")
    of = count(len(prediction.names), "image")
    say(f"warning: {len(bad)} of {of} cannot be read and got no label:\n{told}")
    return len(bad)


def _rows(prediction: Prediction, values: Sequence[Any]) -> list[dict[str, Any]]:
    """A dict an image: its name, label, the label's probability, and that of every class."""
    rows = []
    for name, probs, ok in zip(prediction.names, prediction.probs, prediction.readable, strict=True):
        best = int(probs.argmax()) if ok else -1
        rows.append(
            {
                "image": name,
                "label": values[best] if ok else None,
                "probability": float(probs[best]) if ok else None,
                "proba": [float(p) for p in probs] if ok else None,
                "classes": values,
            }
        )
    return rows


def _as_csv(rows: Sequence[dict[str, Any]], classes: Sequence[str]) -> bytes:
    """UTF-8; file names that are not text keep their bytes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "label", "probability", *(f"proba_{name}" for name in classes)])
    for row in rows:
        probs = [""] * len(classes) if row["proba"] is None else [f"{p:.6f}" for p in row["proba"]]
        cells = [row["image"], "", ""]
        if row["label"] is not None:
            cells[1:] = [row["label"], f"{row['probability']:.6f}"]
        writer.writerow([*cells, *(probs if classes else ())])
    return text.getvalue().encode("utf-8", "surrogateescape")


def _as_json(rows: Sequence[dict[str, Any]], proba: bool) -> bytes:
    """A list with an object an image; ``proba`` maps classes to probabilities."""
    import json  # noqa: PLC0415  # beside its only use

    shown = []
    for row in rows:
        entry = {key: row[key] for key in ("image", "label", "probability")}
        if proba:
            known = row["proba"] is not None
            entry["proba"] = dict(zip(row["classes"], row["proba"], strict=True)) if known else None
        shown.append(entry)
    return (json.dumps(plain(shown), indent=1) + "\n").encode()
