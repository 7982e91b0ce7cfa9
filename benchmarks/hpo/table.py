"""Our rows beside the peers': writes ``benchmarks/results/hpo.md`` from the stored results.

python benchmarks/hpo/table.py
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import harness
import numpy as np
from tables import ranks

RESULTS = harness.OUT.parent / "hpo.md"
TRIALS = (20, 50, 100)
TIMES_S = (750, 1500, 3000, 6000)
RIVALS = ("ref-asha-promote", "syne-asha-promote", "syne-mobster")
WINS_AT_S = 3000
WORKERS = (1, 2, 4, 8, 16)

Row = dict[str, Any]


def main() -> None:
    sections = [
        "# Hyperparameter search beside the peers",
        "Medians over seeds [quartiles]; smaller is better everywhere. Rows of autodl are bold. "
        "CPU seconds of one core; a decision's time is not charged to the simulated clock.",
        *regret(),
        *cluster(),
        *scaling(),
        *overhead(),
        *tables(),
    ]
    RESULTS.write_text("\n\n".join(sections) + "\n")
    print(RESULTS)


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; rows whose first cell is one of ours are bold."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for first, *rest in rows:
        name = f"**{first}**" if first.startswith("autodl") else first
        lines.append("| " + " | ".join([name, *rest]) + " |")
    return "\n".join(lines)


def grouped(rows: Iterable[Row], *keys: str) -> dict[Any, list[Row]]:
    """Rows by the values of some keys; a single key stands for itself."""
    found: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        found[row[keys[0]] if len(keys) == 1 else tuple(row[key] for key in keys)].append(row)
    return dict(found)


def quartiles(values: Sequence[float], digits: int = 3) -> str:
    """``median [first, third]``; a dash without values."""
    if not values:
        return "-"
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{middle:.{digits}g} [{low:.{digits}g}, {high:.{digits}g}]"


# ---------------------------------------------------------------------- one trial at a time


def regret() -> list[str]:
    """A table a problem."""
    problems, parts = harness.load("problems"), []
    for name, rows in sorted(grouped(harness.rows("regret"), "problem").items()):
        best = problems.get(name).f_opt
        lines = []
        for method, runs in grouped(rows, "adaptor").items():
            after = [[r["inc"][n - 1] - best for r in runs if len(r["inc"]) >= n] for n in TRIALS]
            seconds = np.median([r["seconds"] / r["trials"] for r in runs])
            cells = [*(quartiles(values) for values in after), f"{seconds:.4f}"]
            order = np.median(after[1]) if after[1] else np.inf
            lines.append((order, [method, str(len({r["seed"] for r in runs})), *cells]))
        head = ["method", "seeds", *(f"regret after {n}" for n in TRIALS), "CPU s a trial"]
        parts += [f"## {name}: simple regret", markdown(head, _sorted(lines))]
    return parts


def _sorted(lines: list[tuple[Any, list[str]]]) -> list[list[str]]:
    return [cells for _, cells in sorted(lines, key=lambda line: line[0])]


# ---------------------------------------------------------------------- simulated cluster


def at(run: Row, seconds: float, best: float) -> float:
    """Regret at a simulated time."""
    seen = [value for when, value in run["hist"] if when <= seconds]
    return (seen[-1] if seen else 1.0) - best


def reached(run: Row, goal: float, best: float) -> float:
    """Simulated seconds until the regret is at most `goal`."""
    return next((when for when, value in run["hist"] if value - best <= goal), float("inf"))


def _runs() -> tuple[list[Row], float, float]:
    """All runs on the cluster, the optimum, and the goal of t*: what full random trainings reach."""
    rows = [row for row in harness.rows("mf") if row["problem"] == "mlp_digits"]
    best = harness.load("problems").get("mlp_digits").f_opt_any
    full = [at(row, 6000, best) for row in rows if row["adaptor"] == "random-full" and row["workers"] == 4]
    return rows, best, float(np.median(full)) if full else float("nan")


def wins(ours: list[Row], theirs: list[Row], best: float) -> str:
    """Paired seeds in which our regret at `WINS_AT_S` is the smaller; ties in brackets."""
    other = {row["seed"]: at(row, WINS_AT_S, best) for row in theirs}
    pairs = [(at(row, WINS_AT_S, best), other[row["seed"]]) for row in ours if row["seed"] in other]
    ties = sum(a == b for a, b in pairs)
    return f"{sum(a < b for a, b in pairs)}/{len(pairs)}" + (f" ({ties} ties)" if ties else "")


def cluster() -> list[str]:
    """Regret over simulated time on 4 workers."""
    rows, best, goal = _runs()
    by = grouped([row for row in rows if row["workers"] == 4], "adaptor")
    lines = []
    for method, runs in by.items():
        reaches = [quartiles([at(r, t, best) for r in runs if r["horizon"] >= t]) for t in TIMES_S]
        star = np.median([reached(run, goal, best) for run in runs])
        beaten = [
            wins(runs, by.get(rival, []), best) if method.startswith("autodl") else "" for rival in RIVALS
        ]
        cells = [method, str(len(runs)), *reaches, f"{star:.0f}", *beaten]
        cost = np.median([run["decision_s"] for run in runs])
        trials = np.median([run["trials"] for run in runs])
        order = np.median([at(run, WINS_AT_S, best) for run in runs])
        lines.append((order, [*cells, f"{trials:.0f}", f"{cost:.1f}"]))
    head = ["method", "seeds", *(f"{t} s" for t in TIMES_S), "t* s", *(f"wins: {r}" for r in RIVALS)]
    text = (
        f"Regret at simulated seconds; t*: until the regret is {goal:.4f}, the median of random search with "
        f"full trainings at 6,000 s; wins: paired seeds with the smaller regret at {WINS_AT_S:,} s."
    )
    return [
        "## mlp_digits, multi-fidelity, 4 workers",
        text,
        markdown([*head, "trials", "CPU s of decisions"], _sorted(lines)),
    ]


def scaling() -> list[str]:
    """t* on 1 to 16 workers."""
    rows, best, goal = _runs()
    lines = []
    for method, runs in grouped(rows, "adaptor").items():
        by = grouped(runs, "workers")
        if len(by) < len(WORKERS):
            continue
        stars = {n: float(np.median([reached(run, goal, best) for run in by[n]])) for n in WORKERS}
        cells = [f"{stars[n]:.0f} ({stars[1] / stars[n]:.1f}x)" for n in WORKERS]
        lines.append((stars[max(WORKERS)], [method, str(min(len(by[n]) for n in WORKERS)), *cells]))
    head = ["method", "seeds", *(f"{n} workers" for n in WORKERS)]
    return [
        "## Scaling",
        "Median t* in simulated seconds, and the speed-up against one worker.",
        markdown(head, _sorted(lines)),
    ]


# ---------------------------------------------------------------------- cost, tables


def overhead() -> list[str]:
    """CPU seconds of a decision."""
    sizes = (50, 200, 1000)
    lines = []
    for method, rows in grouped(harness.rows("overhead"), "adaptor").items():
        by = {row["n"]: row["median_s"] for row in rows}
        cells = [f"{by[n]:.4f}" if n in by else "-" for n in sizes]
        lines.append((by.get(200, np.inf), [method, *cells]))
    head = ["method", *(f"n = {n}" for n in sizes)]
    return [
        "## Overhead",
        "CPU seconds of suggest and observe with n observations on mlp_digits.",
        markdown(head, _sorted(lines)),
    ]


def tables() -> list[str]:
    """Mean ranks on the tables of real trainings."""
    stored = harness.rows("table")
    if not stored:
        return []
    kinds: dict[str, Callable[[Row], bool]] = {
        "FCNet": lambda row: row["dataset"].startswith("fcnet"),
        "MLP": lambda row: row["dataset"].startswith("mlp"),
        "all": lambda row: True,
    }
    found = {
        (name, key): ranks(filter(keep, stored), 100, key)
        for name, keep in kinds.items()
        for key in ("inc", "true")
    }
    lines = []
    for method, runs in grouped(stored, "adaptor").items():
        cells = [f"{found[column].get(method, float('nan')):.2f}" for column in found]
        seconds = np.median([row["seconds"] for row in runs])
        order = found["all", "inc"].get(method, np.inf)
        lines.append((order, [method, str(len({r["seed"] for r in runs})), *cells, f"{seconds:.1f}"]))
    head = [f"{name}, {'seen' if key == 'inc' else 'mean'}" for name, key in found]
    count = len({row["dataset"] for row in stored})
    return [
        "## Tables of real trainings",
        f"Mean rank after 100 trials over {count} data sets and the seeds that all methods ran (1 is best). "
        "Seen: the incumbent's value; mean: its mean over the training seeds in the table.",
        markdown(["method", "seeds", *head, "CPU s a run"], _sorted(lines)),
    ]


if __name__ == "__main__":
    main()
