"""The 64-network space on digits: its table, and what every strategy finds on it.

python benchmarks/nas_mini_space.py table              # trains all 64 networks with 6 seeds: the truth
python benchmarks/nas_mini_space.py strategies         # runs the strategies, all or those that are named
python benchmarks/nas_mini_space.py tau                # how well shared weights rank the 64
python benchmarks/nas_mini_space.py render             # results/nas_mini_space.md from the rows
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from support.rows import stored

from autodl.nas.evaluators import Evaluation, SharedWeights, Trained
from autodl.nas.fitting import FitOptions
from autodl.nas.gradient_options import GradientOptions
from autodl.nas.shared_training import SharedTraining, fair_archs
from autodl.nas.strategies.registry import get_strategy
from autodl.nas.strategies.single_path import SinglePath
from autodl.nas.strategy import Run
from autodl.spaces import Value
from autodl.testing.mini_space import FIT, TABLE_FILE, MiniTable, mini_data, mini_key, mini_space

SEEDS = (0, 1, 2)
"""Of searches that train weights."""

TABLE_SEEDS = range(6)
"""Of the table: with fewer, its own noise would hide what is ranked."""

ROWS = Path(__file__).parent / "results" / "nas_mini_space"
PAGE = Path(__file__).parent / "results" / "nas_mini_space.md"
TRIALS = 20
"""Networks that a multi-trial search trains: as much work as the super-nets'."""

FAIR_FIT = FitOptions(epochs=60)

ONE_SHOT: dict[str, tuple[str, dict[str, Any]]] = {
    "darts": ("darts", {}),
    "darts, 8 retrained": (
        "darts",
        {"options": GradientOptions(warmup=0.25, retrain_top=8, retrain_fit=FIT)},
    ),
    "darts, second order": ("darts", {"order": 2}),
    "snas": ("snas", {}),
    "fbnet": ("fbnet", {}),
    "proxyless": ("proxyless", {}),
    "proxyless, REINFORCE": ("proxyless", {"update": "reinforce"}),
    "enas": ("enas", {}),
    "enas, 8 retrained": ("enas", {"retrain_top": 8, "retrain_fit": FIT}),
    "single_path": ("single_path", {"retrain_top": 0}),
    "single_path, 8 retrained": ("single_path", {"retrain_top": 8, "retrain_fit": FIT}),
    "single_path, fair, 8 retrained": (
        "single_path",
        {"fit": FAIR_FIT, "fair": True, "retrain_top": 8, "retrain_fit": FIT},
    ),
}
"""Row -> strategy and its options. Each trains weights itself, once a seed."""

MULTI_TRIAL: dict[str, tuple[str, dict[str, Any]]] = {
    "random": ("random", {}),
    "evolution": ("evolution", {}),
    "reinforce": ("reinforce", {}),
    "ppo": ("ppo", {}),
    "mobster": ("engine", {"searcher": "mobster"}),
}
"""Searches of the table: what training gives is known, so they take no time and many seeds."""

MULTI_SEEDS = 30


class Looked:
    """Looks networks up as they came out with one seed."""

    def __init__(self, table: MiniTable, seed: int) -> None:
        self.table, self.seed = table, seed

    def evaluate(self, arch: Mapping[str, Value], *, resource: int | None = None) -> Evaluation:
        """See `autodl.nas.Evaluator`."""
        return Evaluation(self.table.seeds[mini_key(arch)][self.seed % len(TABLE_SEEDS)])


def make_table() -> None:
    """Train every network by itself with each seed that the table lacks."""
    space, (data, _) = mini_space(), mini_data()
    kept = json.loads(TABLE_FILE.read_text()) if TABLE_FILE.exists() else {"val_accuracy": {}}
    accuracy: dict[str, list[float]] = kept["val_accuracy"]
    start, trained = time.process_time(), 0
    for arch in space.enumerate():
        values = accuracy.setdefault(mini_key(arch), [])
        for seed in TABLE_SEEDS[len(values) :]:
            values.append(round(Trained(space, data, FIT, seed=seed).evaluate(arch).metric, 4))
            trained += 1
    table = {
        "made_by": "benchmarks/nas_mini_space.py table",
        "torch": torch.__version__,
        "cpu_s_a_network": round((time.process_time() - start) / trained, 3)
        if trained
        else kept["cpu_s_a_network"],
        "val_accuracy": accuracy,
    }
    TABLE_FILE.write_text(json.dumps(table, indent=1) + "\n")


def seconds_a_network() -> float:
    """CPU time of one network's training, as the table's making took it."""
    return float(json.loads(TABLE_FILE.read_text())["cpu_s_a_network"])


def run_strategies(names: list[str]) -> None:
    """Search with each seed; one file of rows a strategy."""
    for name in names or [*ONE_SHOT, *MULTI_TRIAL]:
        file = rows_file(name)
        seeds = SEEDS if name in ONE_SHOT else range(MULTI_SEEDS)
        write_rows(file, [run_one(name, seed) for seed in seeds])


def run_one(name: str, seed: int) -> dict[str, Any]:
    """One search; its answer's place in the table."""
    space, (data, _), table = mini_space(), mini_data(), MiniTable.load()
    strategy, options = (ONE_SHOT | MULTI_TRIAL)[name]
    made = get_strategy(strategy, **options)
    start = time.process_time()
    if name in ONE_SHOT:
        result = made.search(space, data, seed=seed)
        cpu_s = time.process_time() - start
    else:
        result = made.search(space, Looked(table, seed), seed=seed, budget=TRIALS)
        cpu_s = TRIALS * seconds_a_network()
    arch = result.best_arch
    row = {
        "strategy": name,
        "seed": seed,
        "arch": mini_key(arch),
        "rank": table.rank(arch),
        "regret": round(table.regret(arch), 4),
        "cpu_s": round(cpu_s, 1),
    }
    print(row, flush=True)
    return row


def run_tau() -> None:
    """Kendall's tau between accuracies in a super-net and by themselves."""
    variants = [(sampling, seed) for sampling in ("uniform", "fair") for seed in SEEDS]
    write_rows(ROWS / "tau.jsonl", [tau_row(*variant) for variant in variants])


def tau_row(name: str, seed: int) -> dict[str, Any]:
    """One super-net, judged with and without recalibration."""
    space, (data, _), table = mini_space(), mini_data(), MiniTable.load()
    fit = SinglePath().fit if name == "uniform" else FAIR_FIT
    training, run = SharedTraining(space, data, fit, seed), Run("tau", fit.epochs, default_units=1)
    start = time.process_time()
    for epoch in run.steps():
        training.epoch(epoch, lambda g: fair_archs(space, g) if name == "fair" else [space.sample(g)], run)
    cpu_s = time.process_time() - start
    row: dict[str, Any] = {"sampling": name, "seed": seed, "cpu_s": round(cpu_s, 1)}
    archs = list(space.enumerate())
    for label, batches in (("recalibrated", 4), ("as trained", 0)):
        shared = SharedWeights(training.net, data, recalibration=batches, seed=seed)
        scores = [shared.evaluate(arch).metric for arch in archs]
        order = np.argsort([-score for score in scores], kind="stable")
        row[f"tau, {label}"] = round(kendall_tau(scores, [table.of(arch) for arch in archs]), 3)
        row[f"rank of its first, {label}"] = table.rank(archs[order[0]])
        row[f"regret of the best of 8, {label}"] = round(min(table.regret(archs[i]) for i in order[:8]), 4)
    print(row, flush=True)
    return row


def kendall_tau(a: list[float], b: list[float]) -> float:
    """Tau-b of two lists."""
    from scipy.stats import kendalltau  # slow to import

    return float(kendalltau(a, b).statistic)


def rows_file(strategy: str) -> Path:
    return ROWS / f"{strategy.replace(', ', '_').replace(' ', '_')}.jsonl"


def write_rows(file: Path, rows: list[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def random_regret(table: MiniTable, networks: int, draws: int = 3000) -> float:
    """Mean regret of the best of some random networks, each trained once: the price of chance."""
    rng = np.random.default_rng(0)
    runs, names = np.array(list(table.seeds.values())), list(table.accuracy)
    means = np.array([table.accuracy[name] for name in names])
    regrets = []
    for _ in range(draws):
        drawn = rng.choice(len(names), size=min(max(1, networks), len(names)), replace=False)
        best = drawn[np.argmax(runs[drawn, rng.integers(runs.shape[1])])]
        regrets.append(means.max() - means[best])
    return float(np.mean(regrets))


def render() -> None:
    """Write the page from the rows that are there."""
    table, a_network = MiniTable.load(), seconds_a_network()
    values = sorted(table.accuracy.values(), reverse=True)
    runs = np.array(list(table.seeds.values()))
    ceiling = [kendall_tau(list(first), list(second)) for first, second in itertools.combinations(runs.T, 2)]
    lines = [
        "# Strategies on the enumerated space of 64 networks",
        "",
        f"Digits, 600 images train, 600 judge; every network trained by itself with {len(TABLE_SEEDS)} "
        f"seeds, 20 epochs: {a_network:.2f} s of CPU each. Best mean accuracy {values[0]:.3f}, "
        f"second {values[1]:.3f}, median {values[32]:.3f}. Two seeds rank the 64 with a Kendall tau of "
        f"{min(ceiling):.2f} to {max(ceiling):.2f}: no ranking can be asked for more. One thread, "
        f"torch {torch.__version__}. "
        "Made by `python benchmarks/nas_mini_space.py table`, `strategies`, `tau` and `render`.",
        "",
        "`rank`: place of the answer among the 64, a seed each. `regret`: mean distance to the best. "
        "`random at equal cost`: mean regret of the best of as many random networks as the search's CPU "
        "time trains.",
        "",
        "| strategy | rank | regret | CPU s | random at equal cost |",
        "|---|---|---|---|---|",
    ]
    for name in [*ONE_SHOT, *MULTI_TRIAL]:
        rows = stored(rows_file(name))
        if not rows:
            continue
        ranks = [row["rank"] for row in rows]
        shown = ", ".join(map(str, ranks)) if len(ranks) <= 5 else _spread(ranks)
        cpu_s = statistics.mean(row["cpu_s"] for row in rows)
        regret = statistics.mean(row["regret"] for row in rows)
        chance = random_regret(table, round(cpu_s / a_network))
        more = f" ({TRIALS} networks)" if name in MULTI_TRIAL else ""
        lines.append(f"| {name}{more} | {shown} | {regret:.3f} | {cpu_s:.1f} | {chance:.3f} |")
    lines += tau_lines(stored(ROWS / "tau.jsonl"))
    PAGE.write_text("\n".join(lines) + "\n")


def _spread(ranks: list[int]) -> str:
    return f"median {statistics.median(ranks):g}, worst {max(ranks)} of {len(ranks)} seeds"


def tau_lines(rows: list[dict[str, Any]]) -> list[str]:
    """How well shared weights rank, a line a super-net."""
    if not rows:
        return []
    names = list(rows[0])
    lines = ["", "How well a super-net ranks the 64 (Kendall tau), and what its first eight are worth:", ""]
    lines += ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    return lines + ["| " + " | ".join(str(row[name]) for name in names) + " |" for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "command", nargs="?", choices=("table", "strategies", "tau", "render"), default="strategies"
    )
    parser.add_argument("names", nargs="*", help=f"of {', '.join([*ONE_SHOT, *MULTI_TRIAL])}")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.command == "table":
        make_table()
        return
    if given.command == "strategies":
        run_strategies(given.names)
    elif given.command == "tau":
        run_tau()
    render()


if __name__ == "__main__":
    main()
