"""Search methods on NAS-Bench-201: test accuracy after 200 full trainings, and MOBSTER against ASHA.

    python benchmarks/nasbench201.py search --seeds 20
    python benchmarks/nasbench201.py cluster --seeds 20
    python benchmarks/nasbench201.py table

The table of the benchmark is read from ``AUTODL_NASBENCH201``, else from ``../shared/data/nasbench201``. Rows
go to ``benchmarks/results/nasbench201/*.jsonl``; those that are stored are not run again. ``table`` writes
``benchmarks/results/nasbench201.md``. One thread; all times in the tables are simulated.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from support.rows import add, stored

from autodl.executors.simulated import SimulatedExecutor
from autodl.nas.encoded_search import EncodedSearcher
from autodl.nas.nasbench201 import DATASETS, PATH_VARIABLE, NASBench201
from autodl.nas.nasbench201_cell import encoding, search_space
from autodl.nas.nasbench201_training import CellTraining, TrainingCost
from autodl.schedulers.asha import ASHAScheduler
from autodl.searchers import BOHBSearcher, MobsterSearcher
from autodl.tuner import tune

HERE = Path(__file__).parent
SEARCH = HERE / "results" / "nasbench201" / "search.jsonl"
CLUSTERS = SEARCH.with_name("cluster.jsonl")
TABLE = HERE / "results" / "nasbench201.md"
QUERIES = 200
ETA = 4  # of ASHA between 12 and 200 epochs
REPEATED = 10  # of ASHA between one run and three
CLUSTER_S = 8 * 3600.0  # as in the MOBSTER paper's experiment
WORKERS = 8
PUBLISHED = {
    "random, published": (93.70, 71.04, 44.57),
    "evolution, published": (93.92, 71.84, 45.54),
    "arch2vec-BO, published": (94.18, 73.37, 46.27),
}
GOALS = (94.2, 73.3, 46.3)


@dataclass(frozen=True)
class Method:
    """A way to spend the budget: 200 trainings, or the time that 200 average cells take."""

    searcher: Callable[[], Any]
    fidelities: tuple[int, ...] = (200,)
    eta: float | None = None
    is_timed: bool = False

    def scheduler(self) -> Any:
        """ASHA between the fidelities, or none."""
        if self.eta is None:
            return "fifo"
        return ASHAScheduler(len(self.fidelities), 1, self.eta, type="promotion")


FIRST_SEED = 4
"""Of the search's rows: earlier ones were seen when the encoding of cells was chosen."""

METHODS = {
    "random": Method(lambda: "random"),
    "evolution": Method(lambda: "evolution"),
    "REINFORCE": Method(lambda: "reinforce"),
    "tpe": Method(lambda: "tpe"),
    "gp": Method(lambda: "gp"),
    "cells": Method(lambda: EncodedSearcher(encoding())),
    "cells, repeats": Method(
        lambda: EncodedSearcher(encoding(), repeats_from=1), (200, 200, 200), REPEATED, True
    ),
    "bohb + ASHA": Method(lambda: BOHBSearcher(), (12, 200), ETA, True),
    "mobster + ASHA": Method(
        lambda: MobsterSearcher(max_resource=2, reduction_factor=ETA), (12, 200), ETA, True
    ),
}
CLUSTER = {
    "ASHA": Method(lambda: "random", (12, 200), ETA, True),
    "mobster + ASHA": METHODS["mobster + ASHA"],
}


def load() -> NASBench201:
    """The real table."""
    return NASBench201.load(os.environ.get(PATH_VARIABLE) or HERE.parents[1] / "shared/data/nasbench201")


def mean_cost(bench: NASBench201, dataset: str) -> float:
    """Simulated seconds of an average full training."""
    cost = TrainingCost(bench, dataset)
    return float(np.mean([cost(arch, 200) for arch in bench.archs()]))


def search(bench: NASBench201, name: str, dataset: str, seed: int, full_s: float) -> dict[str, Any]:
    """One run of one method with the budget of part (a)."""
    limit = {"time_limit": QUERIES * full_s} if METHODS[name].is_timed else {"num_trials": QUERIES}
    return run(bench, METHODS[name], dataset, seed, 1, limit)


def run(
    bench: NASBench201, method: Method, dataset: str, seed: int, workers: int, limit: dict[str, Any]
) -> dict[str, Any]:
    """One search; the incumbent is the best by validation of those at the highest fidelity."""
    training = CellTraining(bench, dataset, fidelities=method.fidelities, seed=seed)
    started = time.process_time()
    executor = SimulatedExecutor(training, workers, seed=seed)
    watch = Incumbents(bench, dataset, executor.clock).of(method.fidelities)
    result = tune(
        lambda args, reporter: None,  # the executor asks the objective
        search_space(),
        metric="accuracy",
        mode="max",
        searcher=method.searcher(),
        scheduler=method.scheduler(),
        executor=executor,
        max_resource=training.max_resource,
        seed=seed,
        callbacks=[watch],
        **limit,
    )
    return {
        "dataset": dataset,
        "seed": seed,
        "seconds": round(result.seconds, 1),
        "trials": len(result.trials),
        "full": watch.full,
        "history": [[round(s, 1), *values] for s, *values in watch.history],
        "test": watch.history[-1][1],
        "cpu_s": round(time.process_time() - started, 2),
    }


class Incumbents:
    """Callback: counts full trainings; notes each incumbent's time, test and mean validation accuracy."""

    def __init__(self, bench: NASBench201, dataset: str, clock: Callable[[], float]) -> None:
        self.bench, self.dataset, self.clock = bench, dataset, clock
        self.history: list[tuple[float, float, float]] = []
        self.full = 0
        self._best = (0, -1.0)
        self._levels: tuple[int, ...] = (200,)

    def of(self, fidelities: tuple[int, ...]) -> Incumbents:
        """Told what resources 1, 2, ... are."""
        self._levels = fidelities
        return self

    def on_report(self, trial: Any, report: Any) -> None:
        """A training ended."""
        runs = self._levels[: report.resource].count(200)
        self.full += 0 < runs <= self.bench.num_runs(trial.config, self.dataset)
        if (report.resource, report.value) <= self._best:
            return
        self._best = (report.resource, report.value)
        test = self.bench.query(trial.config, self.dataset, split="test")
        valid = self.bench.query(trial.config, self.dataset)
        self.history.append((round(self.clock(), 1), round(test, 4), round(valid, 4)))


# ---------------------------------------------------------------------- rows


def complete(what: str, names: list[str], datasets: list[str], seeds: range) -> None:
    """Run what is missing, seed by seed, so that a run that is cut leaves whole seeds."""
    bench, file = load(), {"search": SEARCH, "cluster": CLUSTERS}[what]
    full_s = {dataset: mean_cost(bench, dataset) for dataset in datasets}
    done = {(row["method"], row["dataset"], row["seed"]) for row in stored(file)}
    for seed in seeds:
        for dataset in datasets:
            for name in names:
                if (name, dataset, seed) in done:
                    continue
                if what == "search":
                    row = search(bench, name, dataset, seed, full_s[dataset])
                else:
                    limit = {"time_limit": CLUSTER_S}
                    row = run(bench, CLUSTER[name], dataset, seed, WORKERS, limit)
                add(file, {"method": name, **row})


# ---------------------------------------------------------------------- table


def table() -> str:
    """The page of results."""
    bench = load()
    return "\n".join(
        [
            "# NAS-Bench-201",
            "",
            "`python benchmarks/nasbench201.py search`, then `cluster`, then `table`. Python "
            f"{platform.python_version()}, one thread. Hours are simulated: the table has no training times, "
            "so a training of n epochs is n x ceil(images / 256) steps of three recorded forward passes "
            "(`autodl/nas/nasbench201_training.py`).",
            "",
            *_search_part(),
            "",
            *_cluster_part(bench),
            "",
        ]
    )


def _search_part() -> list[str]:
    rows = [row for row in stored(SEARCH) if row["seed"] >= FIRST_SEED]
    lines = [
        "## 200 full trainings",
        "",
        "Test accuracy (mean over runs of the table) of the cell that validated best, mean ± standard "
        "deviation over seeds. A search sees single runs. `random` to `cells`: 200 trainings of 200 "
        "epochs; the others have the time that 200 average cells take: `+ ASHA` trains for 12 epochs "
        "first and promotes a quarter (each promotion pays all 200 epochs), `cells, repeats` trains "
        "the best tenth two more times and compares means. `cells` is a GP on "
        "`autodl.nas.cell_encoding`; the encoding was chosen on seeds 0 to 3, the repeats on seeds 100 to "
        "103, of CIFAR-100 and ImageNet16-120; the rows here are of seeds from 4 on. "
        "Published numbers come from the papers, whose budgets and rules differ somewhat.",
        "",
        "| method | seeds | cifar10 | cifar100 | ImageNet16-120 | trainings | simulated hours | CPU s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in METHODS:
        cells, mine = [], [row for row in rows if row["method"] == name]
        if not mine:
            continue
        for dataset in DATASETS:
            tests = [row["test"] for row in mine if row["dataset"] == dataset]
            cells.append(f"{np.mean(tests):.2f} ± {np.std(tests):.2f}" if tests else "")
        hours = [_mean(mine, dataset, "seconds") / 3600 for dataset in DATASETS]
        seeds = min(sum(row["dataset"] == dataset for row in mine) for dataset in DATASETS)
        lines.append(
            f"| {name} | {seeds} | {' | '.join(cells)} | {np.mean([r['full'] for r in mine]):.0f} | "
            f"{' / '.join(f'{h:.0f}' for h in hours)} | {np.mean([r['cpu_s'] for r in mine]):.1f} |"
        )
    for name, values in {**PUBLISHED, "goal": GOALS}.items():
        lines.append(f"| {name} | | {' | '.join(f'{v:.2f}' for v in values)} | | | |")
    return lines


def _mean(rows: list[dict[str, Any]], dataset: str, key: str) -> float:
    values = [row[key] for row in rows if row["dataset"] == dataset]
    return float(np.mean(values)) if values else float("nan")


def _cluster_part(bench: NASBench201) -> list[str]:
    rows = stored(CLUSTERS)
    best = bench.best("imagenet16_120")[1]
    lines = [
        "## MOBSTER against ASHA",
        "",
        f"ImageNet16-120, {WORKERS} simulated workers, {CLUSTER_S / 3600:.0f} simulated hours, 12 and 200 "
        f"epochs, eta {ETA}, promotion. Regret of the incumbent's mean validation accuracy against the "
        f"table's best ({best:.2f}), in points: mean over seeds; wins of "
        "MOBSTER seed by seed (ties count half).",
        "",
        "| | 1/4 | 1/2 | 3/4 | 1 |",
        "|---|---|---|---|---|",
    ]
    regrets: dict[str, Any] = {}
    for name in CLUSTER:
        mine = sorted((row for row in rows if row["method"] == name), key=lambda row: row["seed"])
        if not mine:
            return []
        regrets[name] = np.array([[best - _at(row, q * CLUSTER_S / 4) for q in (1, 2, 3, 4)] for row in mine])
        lines.append(
            f"| {name} ({len(mine)} seeds) | {' | '.join(f'{v:.2f}' for v in regrets[name].mean(0))} |"
        )
    asha, mobster = regrets.values()
    count = min(len(asha), len(mobster))
    wins = (mobster[:count] < asha[:count]) + 0.5 * (mobster[:count] == asha[:count])
    lines.append(f"| wins of MOBSTER | {' | '.join(f'{v:g} of {count}' for v in wins.sum(0))} |")
    return lines


def _at(row: dict[str, Any], seconds: float) -> float:
    """Mean validation accuracy of the incumbent at a time; 0 before there is one."""
    return max((entry for entry in row["history"] if entry[0] <= seconds), default=(0, 0, 0.0))[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", choices=("search", "cluster", "table"), help="default: all")
    parser.add_argument("--names", default="", help="methods, separated by semicolons; default: all")
    parser.add_argument("--datasets", default=",".join(DATASETS))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=None, help=f"seed; default: {FIRST_SEED}, cluster: 0")
    options = parser.parse_args()
    if options.what in (None, "search"):
        names = options.names.split(";") if options.names else list(METHODS)
        first = FIRST_SEED if options.first is None else options.first
        complete("search", names, options.datasets.split(","), range(first, first + options.seeds))
    if options.what in (None, "cluster"):
        first = options.first or 0
        complete("cluster", list(CLUSTER), ["imagenet16_120"], range(first, first + options.seeds))
    TABLE.write_text(table())


if __name__ == "__main__":
    main()
