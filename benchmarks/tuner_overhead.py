"""The driver's cost of a no-op trial: random search, journal on; serial, joblib, Dask.

    python benchmarks/tuner_overhead.py

Writes ``benchmarks/results/tuner_overhead.md``. Goals: at most 2, 5 and 15 ms of wall time a trial.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

from autodl.executors.dask_executor import DaskExecutor
from autodl.executors.joblib_pool import JoblibExecutor
from autodl.executors.protocol import Executor
from autodl.executors.serial import SerialExecutor
from autodl.spaces import Categorical, Int, Real
from autodl.tuner import tune

SPACE = {
    "lr": Real(1e-4, 1e-1, log=True),
    "hidden": Int(16, 256, log=True),
    "act": Categorical("relu", "gelu"),
}
RESULTS = Path(__file__).parent / "results" / "tuner_overhead.md"


def no_op(args, reporter) -> None:
    reporter(loss=1.0)


def ms_per_trial(executor: Executor, num_trials: int, **options: object) -> tuple[float, float]:
    """Wall and CPU milliseconds a trial of the driver's process, its workers warm."""
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        tune(
            no_op,
            SPACE,
            metric="loss",
            searcher="random",
            num_trials=num_trials,
            executor=executor,
            path=folder,
            **options,
        )
        return (
            (time.perf_counter() - wall) / num_trials * 1e3,
            (time.process_time() - cpu) / num_trials * 1e3,
        )


def measure(executor: Executor, num_trials: int, repeats: int, **options: object) -> str:
    with executor:
        ms_per_trial(executor, 20, **options)  # starts workers, imports
        runs = [ms_per_trial(executor, num_trials, **options) for _ in range(repeats)]
    wall, cpu = (statistics.median(column) for column in zip(*runs, strict=True))
    spread = f"{min(r[0] for r in runs):.2f}-{max(r[0] for r in runs):.2f}"
    return f"{wall:.2f} | {spread} | {cpu:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-trials", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    cases = {
        "serial": (SerialExecutor(), {}),
        "serial, with a time limit": (SerialExecutor(), {"time_limit": "1h"}),
        "joblib, 2 workers": (JoblibExecutor(2), {}),
        "Dask, 2 workers": (DaskExecutor(num_workers=2), {}),
    }
    rows = [
        f"| {name} | {measure(executor, options.num_trials, options.repeats, **extra)} |"
        for name, (executor, extra) in cases.items()
    ]
    text = "\n".join(
        [
            "# Driver's cost of a no-op trial",
            "",
            f"{options.num_trials} trials with one report each, random search, FIFO, journal on; median of "
            f"{options.repeats} runs. Python {platform.python_version()}, {os.cpu_count()} CPU cores, load "
            f"at the end {os.getloadavg()[0]:.1f}. Goals: serial 2 ms, joblib 5 ms, Dask 15 ms of wall time.",
            "",
            "| executor | wall ms a trial | range | driver CPU ms a trial |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
