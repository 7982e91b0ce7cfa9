"""``autodl evaluate`` and ``autodl leaderboard``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autodl.cli.options import AsJson, Debug, Image, Label, Model
from autodl.cli.output import format_table, write_json, write_pairs
from autodl.cli.runs import is_run, load_model, read_result
from autodl.cli.session import session

if TYPE_CHECKING:
    from pandas import DataFrame


def evaluate(  # options of one command
    model: Model,
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="Labelled images, as for fit; of a folder with train and test parts, the test part.",
            show_default=False,
        ),
    ],
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            help="accuracy, top_5, f1_macro, balanced_accuracy, roc_auc, log_loss, confusion_matrix, ...; "
            "may be given again.",
            show_default="accuracy, f1_macro and the fit's",
        ),
    ] = None,
    label: Label = None,
    image: Image = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Measure a model on labelled images."""
    with session(debug):
        values = load_model(model).evaluate(data, metrics=metric or None, label=label, image=image)
        confusion = values.pop("confusion_matrix", None)
        if as_json:
            write_json(values if confusion is None else {**values, "confusion_matrix": _counts(confusion)})
            return
        write_pairs([(name, f"{value:.4f}") for name, value in values.items()])
        if confusion is not None:
            counts = _counts(confusion)
            rows = [[name, *row] for name, row in zip(counts["classes"], counts["counts"], strict=True)]
            typer.echo(format_table(["true \\ predicted", *counts["classes"]], rows))


def leaderboard(
    model: Model,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List the trials, the best first; of a run directory also while it runs."""
    with session(debug):
        table = read_result(model).leaderboard() if is_run(model) else load_model(model).leaderboard()
        records = _records(table)
        if as_json:
            write_json(records)
        else:
            typer.echo(format_table(list(table.columns), [list(record.values()) for record in records]))


def _counts(confusion: DataFrame) -> dict[str, Any]:
    """Rows: true classes; columns: predicted ones."""
    return {"classes": [str(name) for name in confusion.index], "counts": confusion.to_numpy().tolist()}


def _records(table: DataFrame) -> list[dict[str, Any]]:
    """One dict a row, with Python's own values; what is missing is None."""
    import pandas as pd  # noqa: PLC0415  # slow to import

    plain = table.astype(object).where(table.notna(), None)
    records = plain.to_dict(orient="records")
    return [{str(k): None if v is pd.NA else v for k, v in record.items()} for record in records]
