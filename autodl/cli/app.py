"""The application: its commands, and the entry point of the ``autodl`` command."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from autodl import __version__
from autodl.cli.doctor import doctor
from autodl.cli.fit import fit
from autodl.cli.judge import evaluate, leaderboard
from autodl.cli.predict import predict
from autodl.cli.publish import export, report
from autodl.cli.resume import resume

EXIT_CODES = (
    "Exit codes: 0 done; 1 the run failed; 2 bad usage or bad input; "
    "3 done, but --strict was given and some images cannot be read; 130 interrupted."
)

app = typer.Typer(
    name="autodl",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,  # errors are one line; --debug shows Python's own traceback
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EXIT_CODES,
)

for command in (fit, resume, predict, evaluate, leaderboard, report, export, doctor):
    app.command()(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"autodl {__version__}")
        raise typer.Exit


@app.callback()
def autodl(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Deep learning that tunes itself: from a folder of images to a trained classifier.

    Results go to stdout, progress and messages to stderr.
    """


def main() -> None:
    """Run the command line; does not return."""
    # Before torch loads: idle OpenMP threads that spin slow small networks many times over.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app()
