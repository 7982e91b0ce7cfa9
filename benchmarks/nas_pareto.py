"""Accuracy against cost: what a weight on the cost finds, and whether the cost is the real one.

    python benchmarks/nas_pareto.py            # what has no row yet; writes results/nas_pareto.md

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
from support.rows import add, stored

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
SWEEP = Path(__file__).parent / "results" / "nas_pareto" / "sweep.jsonl"
LATENCY = SWEEP.with_name("latency.jsonl")
BATCH = 64
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


def run_sweep() -> None:
    """Search with every weight and seed; one row each."""
    dearest = max(cost for _, cost in truth())
    done = {(row["strategy"], row["weight"]) for row in stored(SWEEP)}
    for name, make in STRATEGIES.items():
        for weight in WEIGHTS:
            if (name, weight) not in done:
                points = [
                    sweep_point(make, EPOCHS[name], Linear(weight, dearest / 2), seed) for seed in SEEDS
                ]
                row = {
                    "strategy": name,
                    "weight": weight,
                    "accuracy": [round(accuracy, 4) for accuracy, _ in points],
                    "thousand_macs": [round(1000 * cost, 1) for _, cost in points],
                }
                add(SWEEP, row)


def truth() -> list[tuple[float, float]]:
    """Mean accuracy and millions of MACs of all 64."""
    space, table = mini_space(), MiniTable.load()
    macs = MACs(space, (1, 8, 8))
    return [(table.of(arch), macs.cost(arch)) for arch in space.enumerate()]


def sweep_lines() -> list[str]:
    points = truth()
    lines = [
        "| strategy | weight | kMACs, seeds | median | accuracy, seeds | below front: median, worst |",
        "|---|---|---|---|---|---|",
    ]
    for name in STRATEGIES:
        rows = [row for row in stored(SWEEP) if row["strategy"] == name]
        medians = [statistics.median(row["thousand_macs"]) for row in rows]
        for row, median in zip(rows, medians, strict=True):
            below = [
                distance_to_front(accuracy, cost / 1000, points)
                for accuracy, cost in zip(row["accuracy"], row["thousand_macs"], strict=True)
            ]
            accuracies = " ".join(f"{a:.3f}" for a in row["accuracy"])
            shown = " ".join(f"{cost:.1f}" for cost in row["thousand_macs"])
            lines.append(
                f"| {name} | {row['weight']:g} | {shown} | {median:.1f} | {accuracies} | "
                f"{max(0.0, statistics.median(below)):.3f}, {max(0.0, *below):.3f} |"
            )
        falls = all(later <= earlier + 1e-9 for earlier, later in itertools.pairwise(medians))
        lines.append(f"| {name} | | median falls monotonically: **{'yes' if falls else 'no'}** | | | |")
    return lines


def spaces() -> dict[str, tuple[Space, tuple[int, int, int]]]:
    from autodl.nas.spaces import ProxylessNAS as ProxylessSpace

    small = ProxylessSpace(size="small").space(num_classes=10, channels=3, side=32)
    return {
        "mini (8 x 8, grey)": (mini_space(), (1, 8, 8)),
        "ProxylessNAS, small (32 x 32)": (small, (3, 32, 32)),
    }


def run_latency(archs: int = 30) -> None:
    """Tables against measured networks, one row a space."""
    done = {row["space"] for row in stored(LATENCY)}
    for name, (space, shape) in spaces().items():
        if name in done:
            continue
        start = time.process_time()
        table = LatencyTable(space, shape, batch_size=BATCH, repeats=30)
        made = time.process_time() - start
        measured = MeasuredLatency(space, shape, batch_size=BATCH, repeats=30)
        rng = np.random.default_rng(1)
        drawn = [space.sample(rng) for _ in range(archs)]
        told = np.array([table.cost(arch) for arch in drawn])
        taken = np.array([measured.cost(arch) for arch in drawn])
        ranks = [np.argsort(np.argsort(values)) for values in (told, taken)]
        row = {
            "space": name,
            "architectures": archs,
            "pearson": round(float(np.corrcoef(told, taken)[0, 1]), 3),
            "spearman": round(float(np.corrcoef(*ranks)[0, 1]), 3),
            "median_error": round(float(np.median(np.abs(told - taken) / taken)), 3),
            "table_cpu_s": round(made, 1),
        }
        add(LATENCY, row)


def latency_lines() -> list[str]:
    lines = [
        "| space | architectures | Pearson r | Spearman rho | median error | table made in |",
        "|---|---|---|---|---|---|",
    ]
    return lines + [
        f"| {row['space']} | {row['architectures']} | {row['pearson']} | {row['spearman']} | "
        f"{100 * row['median_error']:.1f} % | {row['table_cpu_s']:.0f} CPU s |"
        for row in stored(LATENCY)
    ]


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter).parse_args()
    torch.set_num_threads(1)
    run_sweep()
    run_latency()
    text = [
        "# Accuracy against cost",
        "",
        f"`python benchmarks/nas_pareto.py`; torch {torch.__version__}, one thread, CPU, seeds {SEEDS}.",
        "",
        "## A weight on the multiply-adds",
        "",
        "The 64-network space on digits; objective `Linear(weight, half of the dearest network)`; of the",
        "derived network and seven drawn from the probabilities the best by the objective. Below the front:",
        "the accuracy that the best network of no more cost has ahead.",
        "",
        *sweep_lines(),
        "",
        "## Is the table's latency the measured one?",
        "",
        f"Networks that the table was not tied to, drawn at random; milliseconds for a batch of {BATCH}.",
        "",
        *latency_lines(),
        "",
    ]
    RESULT.write_text("\n".join(text))


if __name__ == "__main__":
    main()
