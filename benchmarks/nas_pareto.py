"""Accuracy against cost: what a weight on the cost finds, and whether the cost is the real one.

    python benchmarks/nas_pareto.py            # both parts; writes results/nas_pareto.md

The sweep searches the 64-network space, whose every accuracy and cost is known, under growing weights
on the multiply-adds; each point should lie on the true Pareto front. The second part compares tables
of layer latencies with measured networks.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from autodl.nas.costs import MACs
from autodl.nas.gradient_search import GradientSearch
from autodl.nas.latency import LatencyTable, MeasuredLatency
from autodl.nas.objectives import Linear
from autodl.nas.space import Space
from autodl.nas.strategies.fbnet import FBNet
from autodl.nas.strategies.proxyless import ProxylessNAS
from autodl.nas.strategy import Run
from autodl.testing.mini_space import MiniTable, mini_data, mini_key, mini_space

RESULT = Path(__file__).parent / "results" / "nas_pareto.md"
WEIGHTS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
EPOCHS = {"fbnet": 30, "proxyless": 80}
STRATEGIES = {"fbnet": FBNet, "proxyless": ProxylessNAS}
CANDIDATES = 8
SEEDS = (0, 1, 2)


def distance_to_front(accuracy: float, cost: float, points: list[tuple[float, float]]) -> float:
    """By how much accuracy the best network of no more cost is better."""
    return max(a for a, c in points if c <= cost + 1e-12) - accuracy


def sweep_point(make: Callable[[], Any], epochs: int, objective: Linear, seed: int) -> tuple[float, float]:
    """Search, then take the best by the objective of the derived network and 7 drawn ones.

    These eight are trained from scratch, as `retrain_top=8` does it; the table has made the same
    trainings, so they are looked up. Returns the mean accuracy over its seeds, and millions of MACs.
    """
    space, (data, _), table = mini_space(), mini_data(), MiniTable.load()
    macs = MACs(space, (1, 8, 8))
    method = make()
    search = GradientSearch(method, space, data, objective=objective, cost=macs, seed=seed)
    search.run(Run(method.name, epochs, default_units=1))

    def reward(arch: dict[str, Any]) -> float:
        return objective.reward(table.seeds[mini_key(arch)][seed], macs.cost(arch))

    best = max(search.candidates(CANDIDATES), key=reward)
    return table.of(best), macs.cost(best)


def sweep() -> list[str]:
    space, table = mini_space(), MiniTable.load()
    macs = MACs(space, (1, 8, 8))
    points = [(table.of(arch), macs.cost(arch)) for arch in space.enumerate()]
    dearest = max(cost for _, cost in points)
    lines = [
        "| strategy | weight | MACs (thousand), seeds | median | accuracy, seeds | below the front, worst |",
        "|---|---|---|---|---|---|",
    ]
    for name, make in STRATEGIES.items():
        medians = []
        for weight in WEIGHTS:
            found = [sweep_point(make, EPOCHS[name], Linear(weight, dearest / 2), seed) for seed in SEEDS]
            costs = [1000 * cost for _, cost in found]
            medians.append(statistics.median(costs))
            below = max(distance_to_front(a, c, points) for a, c in found)
            accuracies = " ".join(f"{a:.3f}" for a, _ in found)
            shown = " ".join(f"{cost:.1f}" for cost in costs)
            lines.append(
                f"| {name} | {weight:g} | {shown} | {medians[-1]:.1f} | {accuracies} | {below:.3f} |"
            )
            print(lines[-1], flush=True)
        falls = all(later <= earlier + 1e-9 for earlier, later in itertools.pairwise(medians))
        lines.append(f"| {name} | | median cost falls monotonically: **{'yes' if falls else 'no'}** | | | |")
    return lines


def spaces() -> dict[str, tuple[Space, tuple[int, int, int]]]:
    from autodl.nas.spaces import ProxylessNAS as ProxylessSpace

    small = ProxylessSpace(size="small").space(num_classes=10, channels=3, side=32)
    return {
        "mini (8 x 8, grey)": (mini_space(), (1, 8, 8)),
        "ProxylessNAS, small (32 x 32)": (small, (3, 32, 32)),
    }


def latency(archs: int = 30) -> list[str]:
    lines = [
        "| space | architectures | batch | Pearson r | Spearman rho | median error | table made in |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, (space, shape) in spaces().items():
        start = time.process_time()
        table = LatencyTable(space, shape, batch_size=16, repeats=30)
        made = time.process_time() - start
        measured = MeasuredLatency(space, shape, batch_size=16, repeats=30)
        rng = np.random.default_rng(1)
        drawn = [space.sample(rng) for _ in range(archs)]
        told = np.array([table.cost(arch) for arch in drawn])
        taken = np.array([measured.cost(arch) for arch in drawn])
        r = np.corrcoef(told, taken)[0, 1]
        ranks = [np.argsort(np.argsort(values)) for values in (told, taken)]
        rho = np.corrcoef(*ranks)[0, 1]
        error = np.median(np.abs(told - taken) / taken)
        lines.append(
            f"| {name} | {archs} | 16 | {r:.3f} | {rho:.3f} | {100 * error:.1f} % | {made:.0f} CPU s |"
        )
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.parse_args()
    torch.set_num_threads(1)
    text = [
        "# Accuracy against cost",
        "",
        f"`python benchmarks/nas_pareto.py`; torch {torch.__version__}, one thread, CPU, seeds {SEEDS}.",
        "",
        "## A weight on the multiply-adds",
        "",
        'The 64-network space on digits; objective `Linear(weight, half of the dearest network)`. "Below the',
        'front" is the accuracy that the best network of no more cost has ahead, worst of the seeds.',
        "",
        *sweep(),
        "",
        "## Is the table's latency the measured one?",
        "",
        "Networks that the table was not tied to, drawn at random; milliseconds for a batch.",
        "",
        *latency(),
        "",
    ]
    RESULT.write_text("\n".join(text))


if __name__ == "__main__":
    main()
