"""Tables of real trainings, 100 trials: random, Optuna TPE and GP, and our searchers, side by side.

    python benchmarks/hpo/tables.py run --names autodl-gp,autodl-tpe,optuna-tpe --seeds 20
    python benchmarks/hpo/tables.py ranks

Data: the full grids of FCNet (4 data sets, validation MSE, its logarithm is minimised) and HPOBench's MLP
(8 data sets, score maximised), in ``AUTODL_HPO_TABLES`` or ``../shared/data/hpo_tables``. Ordered
parameters are whole numbers (positions on the grid) for every method, the others categories. A trial
returns the value of one training seed drawn by (benchmark seed, trial): what a user would see;
the incumbent is the trial with the best value seen. Its mean over the table's seeds is stored too.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import harness
import numpy as np
from ranks import mean_ranks

from autodl.engine.state import SearchState
from autodl.engine.types import Idle, Objective
from autodl.schedulers.fifo import FIFOScheduler
from autodl.searchers.registry import SEARCHERS
from autodl.spaces import Categorical, Int, SearchSpace

FILES = {"fcnet": "fcnet_hpolib.parquet", "mlp": "mlp_hpobench.parquet"}
SUFFIX = "_s"  # of a column: <data set>_s<training seed>


@dataclass(frozen=True)
class Task:
    """A data set of a table.

    Attributes:
        name: ``fcnet/<data set>`` or ``mlp/<data set>``.
        grid: parameter -> its values; ordered ones are numbers.
        values: what is minimised, shape (len of each parameter's grid..., training seeds).
    """

    name: str
    grid: dict[str, list[Any]]
    values: np.ndarray

    def is_ordered(self, label: str) -> bool:
        """Whether a parameter is a number."""
        return not isinstance(self.grid[label][0], str | bool)

    def cell(self, config: dict[str, Any]) -> np.ndarray:
        """The values of a config, one for each training seed."""
        where = tuple(v if self.is_ordered(k) else self.grid[k].index(v) for k, v in config.items())
        return self.values[where]


@lru_cache(maxsize=2)
def tasks(kind: str) -> dict[str, Task]:
    """The data sets of one table."""
    import pandas as pd

    folder = Path(os.environ.get("AUTODL_HPO_TABLES", harness.BESIDE / "data" / "hpo_tables"))
    if not (folder / FILES[kind]).exists():
        raise SystemExit(f"skipped: no {FILES[kind]} in {folder}; set AUTODL_HPO_TABLES to its folder")
    frame = pd.read_parquet(folder / FILES[kind])
    measured = [c for c in frame.columns if SUFFIX in c and c.rsplit(SUFFIX, 1)[1].isdigit()]
    labels = [c for c in frame.columns if c not in measured]
    grid = {
        label: [v.item() if hasattr(v, "item") else v for v in sorted(frame[label].unique())]
        for label in labels
    }
    frame = frame.sort_values(labels)
    shape = tuple(len(values) for values in grid.values())
    assert len(frame) == np.prod(shape), f"{kind}: {len(frame)} rows are no full grid of {shape}"
    found: dict[str, Task] = {}
    for dataset in dict.fromkeys(c.rsplit(SUFFIX, 1)[0] for c in measured):
        columns = [c for c in measured if c.rsplit(SUFFIX, 1)[0] == dataset]
        raw = frame[columns].to_numpy(float)
        values = np.log(np.maximum(raw, 1e-12)) if kind == "fcnet" else -raw
        found[f"{kind}/{dataset}"] = Task(f"{kind}/{dataset}", grid, values.reshape(*shape, len(columns)))
    return found


Evaluate = Callable[[dict[str, Any], int], float]


def ours(searcher: str) -> Callable[[Task, int, int, Evaluate], None]:
    """Runs one of our searchers as the tuner does."""

    def search(task: Task, seed: int, trials: int, evaluate: Evaluate) -> None:
        space = SearchSpace(
            {k: Int(0, len(v) - 1) if task.is_ordered(k) else Categorical(*v) for k, v in task.grid.items()}
        )
        made = SEARCHERS[searcher]()
        made.bind(space, seed=seed)
        state = SearchState(space, made, FIFOScheduler(), Objective("value", "min"), trials)
        while not isinstance(launch := state.propose(), Idle):
            state.launch(launch, 0.0)
            config = {k: launch.config[k] for k in task.grid}
            state.report(launch.trial_id, 1, {"value": evaluate(config, launch.trial_id)})
            state.settle(launch.trial_id, None, 0.0)

    return search


def optuna_with(sampler: Callable[[Any, int], Any]) -> Callable[[Task, int, int, Evaluate], None]:
    """Runs an Optuna sampler with its own distributions."""

    def search(task: Task, seed: int, trials: int, evaluate: Evaluate) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)

        def objective(trial: Any) -> float:
            config = {
                k: trial.suggest_int(k, 0, len(v) - 1)
                if task.is_ordered(k)
                else trial.suggest_categorical(k, v)
                for k, v in task.grid.items()
            }
            return evaluate(config, trial.number)

        optuna.create_study(sampler=sampler(optuna.samplers, seed)).optimize(objective, n_trials=trials)

    return search


METHODS: dict[str, Callable[[Task, int, int, Evaluate], None]] = {
    "optuna-random": optuna_with(lambda samplers, seed: samplers.RandomSampler(seed=seed)),
    "optuna-tpe": optuna_with(lambda samplers, seed: samplers.TPESampler(seed=seed)),
    "optuna-gp": optuna_with(lambda samplers, seed: samplers.GPSampler(seed=seed)),
    **{f"autodl-{name}": ours(name) for name in SEARCHERS if name != "grid"},
}
DEFAULT = "autodl-random,autodl-gp,autodl-tpe,autodl-auto,optuna-tpe,optuna-gp"


def run_one(method: str, task: Task, seed: int, trials: int) -> dict[str, Any]:
    """One search; the value of the incumbent after each trial, and its mean over training seeds."""
    seen: list[float] = []
    true: list[float] = []

    def evaluate(config: dict[str, Any], trial_id: int) -> float:
        cell = task.cell(config)
        draw = np.random.default_rng((seed, trial_id)).integers(len(cell))
        seen.append(float(cell[draw]))
        true.append(float(cell.mean()))
        return seen[-1]

    started = time.process_time()
    METHODS[method](task, seed, trials, evaluate)
    best = [int(np.argmin(seen[: n + 1])) for n in range(len(seen))]
    return {
        "kind": "table",
        "adaptor": method,
        "dataset": task.name,
        "seed": seed,
        "trials": trials,
        "seconds": round(time.process_time() - started, 3),
        "inc": [round(seen[i], 6) for i in best],
        "true": [round(true[i], 6) for i in best],
    }


def run(options: argparse.Namespace) -> None:
    """All asked-for searches that are not stored."""
    methods = options.names.split(",")
    for method in set(methods) - set(METHODS):
        print(f"skipped: {method} (known: {', '.join(METHODS)})", flush=True)
    done = {(r["adaptor"], r["dataset"], r["seed"], r["trials"]) for r in harness.rows("table")}
    for kind in options.tables.split(","):
        for task in tasks(kind).values():
            for method in [name for name in methods if name in METHODS]:
                for seed in range(options.first, options.first + options.seeds):
                    if (method, task.name, seed, options.trials) not in done:
                        row = run_one(method, task, seed, options.trials)
                        harness.append("tables.jsonl", row)
                print(task.name, method, flush=True)


def ranks(found: Iterable[dict[str, Any]], trials: int, key: str = "inc") -> dict[str, float]:
    """Mean rank of each method over (data set, seed), 1 the best, ties shared."""
    by: dict[Any, dict[str, float]] = defaultdict(dict)
    for row in found:
        if len(row[key]) >= trials:
            by[row["dataset"], row["seed"]][row["adaptor"]] = row[key][trials - 1]
    return mean_ranks(by)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["run", "ranks"])
    parser.add_argument("--names", default=DEFAULT)
    parser.add_argument("--tables", default="fcnet,mlp")
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    if options.what == "run":
        run(options)
        return
    stored = harness.rows("table")
    for prefix in ("fcnet", "mlp", ""):
        some = [row for row in stored if row["dataset"].startswith(prefix)]
        true = ranks(some, options.trials, "true")
        for name, rank in sorted(ranks(some, options.trials).items(), key=lambda pair: pair[1]):
            print(f"{prefix or 'all':6s} {name:18s} seen {rank:.2f}  mean over seeds {true[name]:.2f}")


if __name__ == "__main__":
    main()
