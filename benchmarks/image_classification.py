"""`ImageClassification.fit` on real images: test metrics, and how well it keeps its time limits.

Each row is a fit in a fresh process, so that imports and worker starts count. The data lies beside
the project (``../shared/data``); sets that are missing are left out and said so.

    python benchmarks/image_classification.py                    # every row, about an hour
    python benchmarks/image_classification.py --only hymenoptera --limits 60 --workers 1
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
DATA = ROOT.parent / "shared" / "data"
RESULTS = Path(__file__).parent / "results"
TOLERANCE_PART, TOLERANCE_S = 0.05, 2.0


@dataclass(frozen=True)
class DataSet:
    """A data set: parquet files of encoded images, or none for the set that scikit-learn ships."""

    train: str | None = None
    test: str | None = None
    first: int | None = None  # images of the training file that are used


DATA_SETS = {
    "digits": DataSet(),
    "hymenoptera": DataSet("hymenoptera/train.parquet", "hymenoptera/val.parquet"),
    "flower_photos": DataSet("flower_photos/train.parquet", "flower_photos/test.parquet"),
    "cifar10_5k": DataSet("cifar10/train.parquet", "cifar10/test.parquet", first=5000),
}
WANTED = {
    ("digits", 60): 0.985,
    ("hymenoptera", 60): 0.94,
    ("flower_photos", 300): 0.93,
    ("cifar10_5k", 300): 0.76,
}
"""Test accuracy to reach, by data set and time limit in seconds."""


def fit_once(name: str, limit_s: float, workers: int, seed: int) -> dict[str, object]:
    """Fit and evaluate in this process."""
    from autodl import ImageClassification

    train, test = load(name)
    started = time.perf_counter()
    classifier = ImageClassification.fit(
        train, time_limit=limit_s, num_workers=workers, seed=seed, label="label_name", verbosity=0
    )
    seconds = time.perf_counter() - started
    accuracy = classifier.evaluate(test, label="label_name", metrics=["accuracy"])["accuracy"]
    summary = classifier.fit_summary()
    return {
        "data": name,
        "limit_s": limit_s,
        "workers": workers,
        "seed": seed,
        "seconds": round(seconds, 2),
        "in_time": seconds <= limit_s * (1 + TOLERANCE_PART) + TOLERANCE_S,
        "test_accuracy": round(accuracy, 4),
        "validation_accuracy": round(summary["validation_score"], 4),
        "trials": summary["num_trials"],
        "ensemble": len(summary["ensemble"]),
    }


def load(name: str) -> tuple[object, object]:
    """Training and test data of a set."""
    import pandas as pd

    data_set = DATA_SETS[name]
    if data_set.train is None or data_set.test is None:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        images, labels = load_digits(return_X_y=True)
        split = train_test_split(images, labels, test_size=0.25, random_state=0, stratify=labels)
        return (split[0], split[2]), (split[1], split[3])
    train = pd.read_parquet(DATA / data_set.train)
    if data_set.first is not None:
        train = train.head(data_set.first)
    return train, pd.read_parquet(DATA / data_set.test)


def run_row(name: str, limit_s: float, workers: int, seed: int) -> dict[str, object] | None:
    """One row, in a process of its own; None if the data is not here."""
    data_set = DATA_SETS[name]
    if data_set.train is not None and not (DATA / data_set.train).exists():
        print(f"{name}: left out, {DATA / data_set.train} is not here", flush=True)
        return None
    command = [sys.executable, __file__, "--child", name, str(limit_s), str(workers), str(seed)]
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if run.returncode:
        print(run.stderr[-2000:], flush=True)
        return {
            "data": name,
            "limit_s": limit_s,
            "workers": workers,
            "seed": seed,
            "error": run.stderr[-300:],
        }
    row: dict[str, object] = json.loads(run.stdout.splitlines()[-1])
    print(row, flush=True)
    return row


def write_table(rows: list[dict[str, object]], path: Path) -> None:
    """The rows as Markdown; rows of equal settings and different seeds become one, by their medians."""
    groups: dict[tuple[object, ...], list[dict[str, object]]] = {}
    for row in rows:
        groups.setdefault((row["data"], row["limit_s"], row["workers"]), []).append(row)
    command = " ".join(["python benchmarks/image_classification.py", *sys.argv[1:]])
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    columns = ("data", "limit s", "workers", "seeds", "test accuracy", "wanted", "fit s", "slowest s",
               "in time", "trials", "members")  # fmt: skip
    lines = [
        "# Image classification",
        "",
        f"`{command}`; {machine}. Medians over seeds. `fit s` is the fit call's wall clock; it may take",
        "the limit + 5 % + 2 s.",
        "",
        f"| {' | '.join(columns)} |",
        "|---" * len(columns) + "|",
        *(table_line(group) for group in groups.values()),
    ]
    path.write_text("\n".join(lines) + "\n")


def table_line(group: list[dict[str, object]]) -> str:
    """One line of the table for the rows of one setting."""
    name, limit_s, workers = (group[0][key] for key in ("data", "limit_s", "workers"))
    good = [row for row in group if "error" not in row]
    if len(good) < len(group):
        return f"| {name} | {limit_s:g} | {workers} | {len(group)} | failed | | | | no | | |"

    def column(key: str) -> list[float]:
        return [float(row[key]) for row in good]  # type: ignore[arg-type]

    cells = (
        name,
        f"{limit_s:g}",
        workers,
        len(good),
        f"{statistics.median(column('test_accuracy')):.4f}",
        WANTED.get((str(name), int(limit_s)), ""),  # type: ignore[call-overload]
        f"{statistics.median(column('seconds')):.1f}",
        f"{max(column('seconds')):.1f}",
        "yes" if all(row["in_time"] for row in good) else "no",
        f"{statistics.median(column('trials')):.0f}",
        f"{statistics.median(column('ensemble')):.0f}",
    )
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    """Run the rows asked for and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=DATA_SETS, default=list(DATA_SETS))
    parser.add_argument("--limits", nargs="+", type=float, default=[20, 60, 300])
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--output", type=Path, default=RESULTS / "image_classification.md")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        name, limit_s, workers, seed = arguments.child
        print(json.dumps(fit_once(name, float(limit_s), int(workers), int(seed))))
        return
    rows = []
    for name in arguments.only:
        for limit_s in arguments.limits:
            for workers in arguments.workers:
                for seed in range(arguments.seeds):
                    row = run_row(name, limit_s, workers, seed)
                    if row is not None:
                        rows.append(row)
                        write_table(rows, arguments.output)


if __name__ == "__main__":
    main()
