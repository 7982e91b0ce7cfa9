"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")]

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON to stdout.")]

Label = Annotated[
    str | None, typer.Option("--label", metavar="COLUMN", help="Label column of a table; default: by name.")
]

Image = Annotated[
    str | None, typer.Option("--image", metavar="COLUMN", help="Image column of a table; default: by name.")
]

Model = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        help="A saved model, or a run directory (fit --path).",
        show_default=False,
    ),
]

Strict = Annotated[
    bool, typer.Option("--strict", help="Exit with 3 if some images cannot be read; the rest is done.")
]

Verbosity = Annotated[
    int,
    typer.Option(
        "--verbosity",
        "-v",
        min=0,
        max=3,
        help="On stderr: 0 nothing, 1 plain lines, 2 live progress, 3 every report.",
    ),
]

Save = Annotated[
    Path | None,
    typer.Option(
        "--save",
        help="Where to save the model: a directory, or one file if it ends in .autodl or .zip. "
        "Default: model.autodl in the run directory.",
        show_default=False,
    ),
]

ReportFile = Annotated[
    Path | None, typer.Option("--report", help="Write the HTML report to this file.", show_default=False)
]

TimeLimit = Annotated[
    str | None,
    typer.Option(
        "--time-limit",
        "--time-limits",
        help='Wall-clock limit: seconds, "10m", "1h30m".',
        show_default="the preset's, unless --num-trials is given",
        rich_help_panel="Limits",
    ),
]

NumTrials = Annotated[
    int | None,
    typer.Option("--num-trials", help="Trials at most.", show_default=False, rich_help_panel="Limits"),
]
