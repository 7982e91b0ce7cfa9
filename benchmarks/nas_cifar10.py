"""CIFAR-10, 10,000 training images: is what a search finds better than what the space holds anyway?

    python benchmarks/nas_cifar10.py run [--only darts|mbconv] [--seeds 0,1,2]
    python benchmarks/nas_cifar10.py table

One search (its two halves are the 10,000 images), then the derived network and five random ones of the
same space are trained from scratch on all 10,000, all in the same way, and judged on 2,000 test images.
Rows that are stored are not run again. Needs `$AUTODL_DATA/cifar10/{train,test}.parquet`.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from support.rows import add, stored

from autodl.nas.data import NASData
from autodl.nas.evaluators import Trained
from autodl.nas.fitting import FitOptions
from autodl.nas.spaces.darts import DARTS as DARTSSpace
from autodl.nas.spaces.proxyless import ProxylessNAS as MBConvSpace
from autodl.nas.strategies.darts import DARTS
from autodl.nas.strategies.proxyless import ProxylessNAS
from autodl.rng import trial_rng

HERE = Path(__file__).parent
DATA = Path(os.environ.get("AUTODL_DATA") or HERE.parents[1] / "shared/data") / "cifar10"
ROWS = HERE / "results" / "nas_cifar10.jsonl"
TABLE = HERE / "results" / "nas_cifar10.md"
TRAIN, TEST, RANDOM = 10_000, 2_000, 5
# name -> (space, strategy, epochs of the search, epochs of each training)
CASES = {
    "darts": (DARTSSpace(cells=3, width=4, nodes=3, edges="all"), DARTS(), 4, 4),
    "mbconv": (MBConvSpace(), ProxylessNAS(), 12, 4),
}


def images(part: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(count, 3, 32, 32) float, centred; labels."""
    import pandas as pd
    from PIL import Image

    frame = pd.read_parquet(DATA / f"{part}.parquet", columns=["image", "label"]).sample(
        count, random_state=0
    )
    encoded = [image["bytes"] if isinstance(image, dict) else image for image in frame["image"]]
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in encoded])
    x = (pixels.transpose(0, 3, 1, 2).astype(np.float32) / 255 - 0.47) / 0.25
    return x, np.unique(frame["label"].to_numpy(), return_inverse=True)[1]


def run_one(case: str, seed: int) -> dict[str, Any]:
    """A search, and the trainings that judge it."""
    factory, strategy, search_epochs, epochs = CASES[case]
    (x, y), (test_x, test_y) = images("train", TRAIN), images("test", TEST)
    halves = NASData.split(x, y, seed=seed, batch_size=64)
    space = factory.space(num_classes=10, channels=3, side=32)
    start = time.process_time()
    result = strategy.search(space, halves, budget=search_epochs, seed=seed)
    searched = time.process_time() - start
    final = factory.for_retraining().space(num_classes=10, channels=3, side=32)
    judge = Trained(
        final, NASData(x, y, test_x, test_y, batch_size=64), FitOptions(epochs, lr=0.05), seed=seed
    )
    # Random ones are drawn as the space's derivable architectures are: two edges a node.
    drawn = [random_arch(factory, space, 100 * seed + number) for number in range(RANDOM)]
    found = judge.evaluate(result.best_arch).metric
    others = [judge.evaluate(arch).metric for arch in drawn]
    return {
        "case": case,
        "seed": seed,
        "found": found,
        "random": others,
        "search_cpu_s": round(searched, 1),
        "cpu_s": round(time.process_time() - start, 1),
        "arch": result.best_arch,
    }


def random_arch(factory: Any, space: Any, seed: int) -> dict[str, Any]:
    """An architecture by the space's own rule, from random probabilities."""
    rng = trial_rng(7, seed)
    probabilities = {
        label: torch.tensor(rng.dirichlet(np.ones(len(decision.choices))))
        for label, decision in space.decisions().items()
    }
    return space.derive(probabilities)


def table() -> str:
    lines = [
        "# Searched against random architectures on CIFAR-10",
        "",
        "`python benchmarks/nas_cifar10.py run`, then `table`; "
        f"torch {torch.__version__}, one thread. {TRAIN:,} training images, {TEST:,} test images; five",
        "random architectures of the same space; one training from scratch for all six, no augmentation.",
        "",
        "| space | strategy | seed | found | random: mean (least to most) | gain | search | in all |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(stored(ROWS), key=lambda row: (row["case"], row["seed"])):
        factory, strategy, *_ = CASES[row["case"]]
        mean = statistics.mean(row["random"])
        spread = f"{min(row['random']):.3f} to {max(row['random']):.3f}"
        cells = (
            factory.name,
            strategy.name,
            row["seed"],
            f"{row['found']:.3f}",
            f"{mean:.3f} ({spread})",
            f"{row['found'] - mean:+.3f}",
            f"{row['search_cpu_s']:.0f} CPU s",
            f"{row['cpu_s'] / 60:.1f} CPU min",
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    for case, (factory, _, search, epochs) in CASES.items():
        lines += ["", f"`{case}`: `{factory!r}`; {search} epochs of search, {epochs} of each training."]
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=("run", "table"), default="run")
    parser.add_argument("--only", choices=tuple(CASES))
    parser.add_argument("--seeds", default="0,1,2")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.what == "run":
        done = {(row["case"], row["seed"]) for row in stored(ROWS)}
        for seed in map(int, options.seeds.split(",")):
            for case in [options.only] if options.only else list(CASES):
                if (case, seed) not in done:
                    add(ROWS, run_one(case, seed))
    TABLE.write_text(table())


if __name__ == "__main__":
    main()
