"""Tiny made images and trees for the tests of autodl.data."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SHARED = Path(__file__).parents[3] / "shared" / "data"


def shared_file(name: str) -> Path:
    """A file of the real data, or a skip where there is none."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"real data {name} is not on this machine")
    return path


def picture(height: int = 12, width: int = 16, seed: int = 0) -> np.ndarray:
    """A smooth random (height, width, 3) picture: survives JPEG."""
    coarse = np.random.default_rng(seed).integers(0, 256, (3, 3, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image)


def encode(image: np.ndarray | Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """The bytes of an image file."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def write(path: Path, seed: int = 0, **options: object) -> Path:
    """A small image file of the format that the suffix names; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = {".jpg": "JPEG", ".png": "PNG"}[path.suffix]
    path.write_bytes(encode(picture(seed=seed), kind, **options))
    return path


def class_folders(root: Path, classes: tuple[str, ...] = ("cat", "dog"), count: int = 3) -> Path:
    """A folder per class with `count` different images each."""
    for number, name in enumerate(classes):
        for index in range(count):
            write(root / name / f"{index}.png", seed=100 * number + index)
    return root
