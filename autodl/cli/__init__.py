"""The command line: ``autodl fit photos/ --time-limit 10m``.

Importing it brings no heavy library: commands import what they need when they run, so that
``autodl --help`` answers at once.
"""

from __future__ import annotations

from autodl.cli.app import app, main

__all__ = [
    "app",
    "main",
]
