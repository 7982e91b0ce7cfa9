"""``autodl doctor``: what this machine offers, in the words of a bug report."""

from __future__ import annotations

from autodl.cli.options import AsJson, Debug
from autodl.cli.output import write_json, write_pairs
from autodl.cli.session import FAILED, session


def doctor(as_json: AsJson = False, debug: Debug = False) -> None:
    """Show versions, devices, threads, pretrained weights and extras; never waits for more than 2 s."""
    import typer  # noqa: PLC0415  # beside its only use

    from autodl.cli.machine import examine, told  # noqa: PLC0415  # keeps the command's help fast

    with session(debug):
        findings = examine()
        if as_json:
            write_json(findings)
        else:
            write_pairs(told(findings))
        if findings["problems"]:
            raise typer.Exit(FAILED)
