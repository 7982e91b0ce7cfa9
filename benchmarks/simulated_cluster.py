"""Decisions a second on a simulated cluster of 1,000 workers, journal on; both types of ASHA.

    python benchmarks/simulated_cluster.py

Writes ``benchmarks/results/simulated_cluster.md``. Goal: 10,000 trials in at most 60 s, and a cost per event
that does not grow with the number of trials.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np

from autodl.executors.simulated_objectives import FunctionObjective
from autodl.schedulers.asha import ASHAScheduler
from autodl.simulation import simulate
from autodl.spaces import Categorical, Int, Real
from autodl.trial import Config

RESULTS = Path(__file__).parent / "results" / "simulated_cluster.md"
SPACE = {
    "lr": Real(1e-5, 1.0, log=True),
    "momentum": Real(0.0, 0.99),
    "hidden": Int(16, 512, log=True),
    "act": Categorical("relu", "gelu", "tanh"),
}
PARTS = 4


def loss(config: Config, epoch: int) -> float:
    """Falls as a power of the epoch, to less for good configs."""
    return 0.1 + abs(config["lr"] - 0.01) ** 0.5 + (config["momentum"] - 0.9) ** 2 + 0.5 * epoch**-0.7


class Stopwatch:
    """Counts what happens, and the CPU time until then: a run's callback."""

    def __init__(self) -> None:
        self.times = [time.process_time()]

    def on_trial_start(self, trial: Any) -> None:
        """A trial starts or goes on."""
        self.times.append(time.process_time())

    def on_report(self, trial: Any, report: Any) -> None:
        """A report was answered."""
        self.times.append(time.process_time())

    def on_trial_end(self, trial: Any) -> None:
        """A trial ended."""
        self.times.append(time.process_time())

    def us_per_event(self) -> str:
        """In each quarter of the run's events."""
        parts = np.array_split(np.diff(self.times) * 1e6, PARTS)
        return " / ".join(f"{part.mean():.0f}" for part in parts)


def _scheduler(name: str, epochs: int) -> Any:
    """A scheduler by its name; of ASHA, also the promotion type."""
    return ASHAScheduler(epochs, type="promotion") if name == "asha-promotion" else name


def row(scheduler: str, num_trials: int, options: argparse.Namespace) -> str:
    objective = FunctionObjective(loss, max_resource=options.epochs, seconds=60.0)
    watch, wall, cpu = Stopwatch(), time.perf_counter(), time.process_time()
    result = simulate(
        objective,
        SPACE,
        metric="loss",
        searcher=options.searcher,
        scheduler=_scheduler(scheduler, options.epochs),
        num_workers=options.workers,
        num_trials=num_trials,
        stragglers=0.3,
        callbacks=[watch],
    )
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    events = len(watch.times) - 1
    cells = [f"{num_trials:,}", f"{events:,}", f"{wall:.1f}", f"{cpu:.1f}", f"{events / cpu:,.0f}"]
    return f"| {scheduler} | {' | '.join(cells)} | {watch.us_per_event()} | {result.seconds / 3600:.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num-trials", default="1000,3000,10000,30000")
    parser.add_argument("--epochs", type=int, default=81)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--schedulers", default="asha,asha-promotion")
    parser.add_argument("--searcher", default="random")
    options = parser.parse_args()
    row("asha", 300, options)  # imports
    counts = [int(n) for n in options.num_trials.split(",")]
    rows = [row(name, n, options) for name in options.schedulers.split(",") for n in counts]
    text = "\n".join(
        [
            "# A simulated cluster",
            "",
            f"{options.workers:,} simulated workers with stragglers, R = {options.epochs}, eta 3, "
            f"{options.searcher} search, journal on; events: starts, reports and ends. Python "
            f"{platform.python_version()}, one core, load at the end {os.getloadavg()[0]:.1f}. "
            "Goals: 10,000 trials in 60 s of wall time, a cost per event that does not grow.",
            "",
            "| scheduler | trials | events | wall s | CPU s | events a CPU s | CPU us an event, by quarters "
            "of the run | simulated hours |",
            "|---|---|---|---|---|---|---|---|",
            *rows,
        ]
    )
    RESULTS.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
