"""``autodl resume``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from autodl.cli.finish import Wanted, finish
from autodl.cli.options import AsJson, Debug, NumTrials, ReportFile, Save, Verbosity
from autodl.cli.runs import require_run
from autodl.cli.session import session


def resume(  # noqa: PLR0913  # one option for each argument of the Python API
    path: Annotated[
        Path, typer.Argument(metavar="RUN", help="The run directory (fit --path).", show_default=False)
    ],
    time_limit: Annotated[
        str | None,
        typer.Option(
            "--time-limit",
            "--time-limits",
            help='For the rest: seconds, "10m", "1h30m".',
            show_default="what was left of the first limit",
            rich_help_panel="Limits",
        ),
    ] = None,
    num_trials: NumTrials = None,
    num_workers: Annotated[int | None, typer.Option(help="Trials at once.", show_default="as before")] = None,
    save: Save = None,
    report: ReportFile = None,
    verbosity: Verbosity = 2,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Go on with a fit that was interrupted or killed; finished trials are kept."""
    with session(debug):
        require_run(path)
        given = {"num_trials": num_trials, "num_workers": num_workers, "verbosity": verbosity}
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        from autodl import ImageClassification  # noqa: PLC0415  # torch takes seconds to import

        classifier = ImageClassification.resume(path, time_limit=time_limit, **changes)
        finish(classifier, Wanted(path, save, report, as_json))
