"""What every command does around its work: errors as one line, exit codes, short warnings."""

from __future__ import annotations

import errno
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import typer

from autodl.errors import AutoDLError

OK, FAILED, BAD_INPUT, BAD_IMAGES, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes; `autodl.cli.app` explains them to the user."""

_SHOWN_WARNINGS = (UserWarning, RuntimeWarning)
"""Warnings that tell of the user's data or run; the others are for programmers."""

_BAD_PATH = (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError, PermissionError)


@contextmanager
def session(debug: bool) -> Iterator[None]:
    """Runs a command's work; whatever it raises becomes a message on stderr and an exit code.

    Args:
        debug: show the traceback, too, and warnings with the place they come from.

    Raises:
        typer.Exit: with the exit code of the error.
    """
    with warnings.catch_warnings():
        if not debug:
            _shorten_warnings()
        try:
            yield
        except (typer.Exit, BrokenPipeError):  # the latter: the reader of a pipe has left, no error
            raise
        except KeyboardInterrupt:
            say("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            if debug:
                say(traceback.format_exc().rstrip())
            say(f"error: {describe(error, debug)}")
            raise typer.Exit(exit_code(error)) from None


def exit_code(error: Exception) -> int:
    """`BAD_INPUT` for what the caller can mend in the command or the data, else `FAILED`.

    autodl's errors about arguments and data are also ValueErrors or errors about a path; those about
    runs, installations and full disks are not.
    """
    if isinstance(error, _BAD_PATH):
        return BAD_INPUT
    return BAD_INPUT if isinstance(error, AutoDLError) and isinstance(error, ValueError) else FAILED


def describe(error: Exception, debug: bool = False) -> str:
    """The message of an error that was raised on purpose or by the system; else its type, too."""
    if isinstance(error, AutoDLError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        hint = "; free some space" if error.errno == errno.ENOSPC else ""
        where = "" if error.filename is None else f"{error.filename}: "
        return f"{where}{error.strerror}{hint}"
    way_out = "" if debug else " (not meant to happen: run it again with --debug and report what it shows)"
    return f"{type(error).__name__}: {error}{way_out}"


def say(text: str) -> None:
    """A message on stderr, marked as autodl's; characters that UTF-8 cannot hold are escaped."""
    from autodl.report.wording import printable  # noqa: PLC0415  # keeps the command's help fast

    typer.echo(printable(f"autodl: {text}"), err=True)


def _shorten_warnings() -> None:
    """Warnings as one line, without the source line that Python adds."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        say(f"warning: {message}")

    warnings.simplefilter("ignore")
    for category in _SHOWN_WARNINGS:
        warnings.simplefilter("default", category)
    warnings.showwarning = show
