"""The 64-network space on digits: its table, and what every strategy finds on it.

    python benchmarks/nas_mini_space.py table     # trains all 64 networks with 3 seeds: the truth
    python benchmarks/nas_mini_space.py           # runs the strategies, writes results/nas_mini_space.md
"""

from __future__ import annotations

import argparse
import json
import time

import torch

from autodl.nas.evaluators import Trained
from autodl.testing.mini_space import FIT, TABLE_FILE, mini_data, mini_key, mini_space

SEEDS = (0, 1, 2)


def make_table() -> None:
    """Train every network by itself, with each seed."""
    space, (data, _) = mini_space(), mini_data()
    accuracy: dict[str, list[float]] = {}
    start = time.process_time()
    for arch in space.enumerate():
        accuracy[mini_key(arch)] = [
            round(Trained(space, data, FIT, seed=seed).evaluate(arch).metric, 4) for seed in SEEDS
        ]
    table = {
        "made_by": "benchmarks/nas_mini_space.py table",
        "torch": torch.__version__,
        "cpu_seconds": round(time.process_time() - start),
        "val_accuracy": accuracy,
    }
    TABLE_FILE.write_text(json.dumps(table, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", nargs="?", choices=("table", "strategies"), default="strategies")
    torch.set_num_threads(1)
    if parser.parse_args().command == "table":
        make_table()


if __name__ == "__main__":
    main()
