"""Images that any network can tell apart, and the command run in this process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from typer.testing import CliRunner

from autodl.cli import app

CLASSES = ("left", "right", "top")


def write_images(folder: Path, per_class: int, seed: int) -> Path:
    """8 x 8 grey squares, bright on the side that names their class."""
    rng = np.random.default_rng(seed)
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for number in range(per_class):
            pixels = rng.integers(0, 60, (8, 8), dtype=np.uint8)
            side = {"left": np.s_[:, :4], "right": np.s_[:, 4:], "top": np.s_[:4]}[name]
            pixels[side] += 180
            Image.fromarray(pixels).save(folder / name / f"{number}é.png")
    return folder


def run(*arguments: object):
    """Its result: exit_code, stdout, stderr."""
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
