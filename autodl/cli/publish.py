"""``autodl report`` and ``autodl export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autodl.cli.options import Debug, Model
from autodl.cli.runs import load_model, open_run, require_run
from autodl.cli.session import session


def report(
    path: Annotated[
        Path, typer.Argument(metavar="RUN", help="The run directory (fit --path).", show_default=False)
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file.")] = Path("report.html"),
    debug: Debug = False,
) -> None:
    """Write the report of a run: one HTML file that opens offline. Nothing is trained."""
    with session(debug):
        require_run(path)
        typer.echo(str(open_run(path).report(output)))


def export(
    model: Model,
    output: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Ends in .pt2 (torch.export) or .onnx (needs the onnx extra).",
            show_default=False,
        ),
    ],
    debug: Debug = False,
) -> None:
    """Write the network for other programs, and check that it predicts the same.

    Its input is (n, 3, s, s) float32, RGB in 0..1; its output are probabilities (n, classes).
    """
    with session(debug):
        typer.echo(str(load_model(model).export(output)))
