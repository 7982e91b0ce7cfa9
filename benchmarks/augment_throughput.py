"""Augmentation policies: our batches against torchvision, images a second of CPU time, one thread.

torchvision runs image by image, on PIL images and on tensors, v1 and v2; its figures leave out the
conversion from and to arrays that PIL images need, ours are batch in, batch out, drawing included.
All columns take turns within one process. "without numba" is a plain installation, "[fast]"
has the compiled ops, and "auto" is [fast] in a process that finds none on disk, in the time before
it compiles them. Images are real: CIFAR-10 at 32 px, flower_photos at 224 px.

    python benchmarks/augment_throughput.py [--rounds 5] [--min-time 0.15]
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torchvision
from PIL import Image
from torchvision.transforms import autoaugment as v1
from torchvision.transforms import v2

from autodl.augment import AutoAugment, RandAugment, TrivialAugmentWide, backends
from autodl.augment.backends import LARGE_PIXELS
from autodl.augment.numba_ops import compile_ops, compiled_before

DATA = Path(os.environ.get("AUTODL_DATA", Path(__file__).parent.parent.parent / "shared" / "data"))
RESULT = Path(__file__).parent / "results" / "augment_throughput.md"
COLUMNS = ("PIL v1", "PIL v2", "tensor v1", "tensor v2", "torch", "auto", "without numba", "[fast]")


def load(side: int, number: int) -> list[Image.Image]:
    file = "cifar10/test.parquet" if side == 32 else "flower_photos/test.parquet"
    coded = pd.read_parquet(DATA / file, columns=["image"])["image"].iloc[:number]
    images = [Image.open(io.BytesIO(data)).convert("RGB") for data in coded]
    return [image if image.size == (side, side) else image.resize((side, side)) for image in images]


def policies(side: int) -> dict[str, tuple[object, object, object]]:
    """Name: torchvision's v1, v2 and ours."""
    table = v1.AutoAugmentPolicy.CIFAR10 if side == 32 else v1.AutoAugmentPolicy.IMAGENET
    return {
        "RA(2,9)": (v1.RandAugment(), v2.RandAugment(), RandAugment(2, 9)),
        "TA-Wide": (v1.TrivialAugmentWide(), v2.TrivialAugmentWide(), TrivialAugmentWide()),
        f"AA {table.name}": (v1.AutoAugment(table), v2.AutoAugment(table), AutoAugment(table.name.lower())),
    }


def contenders(side: int, images: list[Image.Image], transforms, interleaved: bool):
    old, new, ours = transforms
    pixels = np.stack([np.asarray(image) for image in images])
    batch = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    tensors = list(batch.contiguous())
    batch = batch if interleaved else batch.contiguous()
    generator = torch.Generator().manual_seed(0)
    plain = "pil" if side * side >= LARGE_PIXELS else "torch"
    return {
        "PIL v1": lambda: [old(image) for image in images],
        "PIL v2": lambda: [new(image) for image in images],
        "tensor v1": lambda: [old(image) for image in tensors],
        "tensor v2": lambda: [new(image) for image in tensors],
        "torch": lambda: ours(batch, generator, backend="torch"),
        "auto": lambda: cold(lambda: ours(batch, generator)),
        "without numba": lambda: ours(batch, generator, backend=plain),
        "[fast]": lambda: ours(batch, generator, backend="numba"),
    }


def cold(call: Callable[[], object]) -> object:
    """A call as the first ones are in a process where nothing is compiled, neither here nor on disk."""
    backends._compiled, warm = backends._Compiled(), backends._compiled
    before, backends.compiled_before = backends.compiled_before, lambda: False
    try:
        return call()
    finally:
        backends._compiled, backends.compiled_before = warm, before


def rates(calls: dict[str, Callable[[], object]], number: int, rounds: int, min_time: float):
    """Median images a second of each call; they take turns."""
    repeats, seen = {}, {name: [] for name in calls}
    for name, call in calls.items():
        call()
        started = time.process_time()
        call()
        repeats[name] = max(1, int(min_time / max(time.process_time() - started, 1e-6)))
    for _ in range(rounds):
        for name, call in calls.items():
            started = time.process_time()
            for _ in range(repeats[name]):
                call()
            seen[name].append(repeats[name] * number / (time.process_time() - started))
    return {name: statistics.median(values) for name, values in seen.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--min-time", type=float, default=0.15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    known, seconds = compiled_before(), compile_ops()
    ours = COLUMNS[4:]
    lines = [
        "# Augmentation throughput\n",
        f"`python benchmarks/augment_throughput.py --rounds {options.rounds} "
        f"--min-time {options.min_time}`\n",
        f"Thousand images a second of CPU time, median of {options.rounds}, one thread, torch "
        f"{torch.__version__}, torchvision {torchvision.__version__}, Python {platform.python_version()}. "
        "x: against the fastest of torchvision's four columns.\n",
        f"Compiled ops ready after {seconds:.1f} s ({'from disk' if known else 'compiled'}).\n",
        "| policy, side, layout | " + " | ".join(COLUMNS) + " | " + " | ".join(f"x {c}" for c in ours) + " |",
        "|---" * (1 + len(COLUMNS) + len(ours)) + "|",
    ]
    for side, number in ((32, 512), (224, 48)):
        images = load(side, number)
        for name, transforms in policies(side).items():
            for layout in ("NCHW", "channels_last"):
                calls = contenders(side, images, transforms, layout == "channels_last")
                found = rates(calls, number, options.rounds, options.min_time)
                best = max(found[column] for column in COLUMNS[:4])
                cells = [f"{found[column] / 1000:.1f}" for column in COLUMNS]
                cells += [f"{found[column] / best:.2f}" for column in ours]
                lines.append(f"| {name} {side} px {layout} | " + " | ".join(cells) + " |")
                print(lines[-1], flush=True)
    RESULT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
