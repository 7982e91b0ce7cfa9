"""Where the peers' harness is, and how to import it.

Its folder is ``AUTODL_HPO_BENCH``, or ``../shared/bench/hpo`` beside the repository. It holds the
problems (``problems.py``), the two loops (``run.py``: one trial at a time; ``sim.py``: a simulated
cluster) and the peers' results (``results/*.jsonl``).
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # before numpy is loaded: CPU seconds are what is compared

HERE = Path(__file__).resolve().parent
OUT = HERE.parent / "results" / "hpo"
BESIDE = HERE.parents[1].parent / "shared"


def folder() -> Path:
    """The harness's folder; ends the program, with a message, where there is none."""
    found = Path(os.environ.get("AUTODL_HPO_BENCH", BESIDE / "bench" / "hpo"))
    if not (found / "problems.py").exists():
        print(f"skipped: no harness at {found}; set AUTODL_HPO_BENCH to its folder")
        sys.exit(0)
    return found


def load(name: str) -> Any:
    """A module of the harness, or of our adaptors."""
    for path in (str(HERE / "adaptors"), str(folder())):
        if path not in sys.path:
            sys.path.insert(0, path)
    return importlib.import_module(name)


def adaptors(table: str, names: str) -> list[type]:
    """Our adaptors named by a comma-separated list; those whose parts do not exist are skipped."""
    made = getattr(load("autodl_"), table)
    asked = list(made) if names == "all" else [name.strip() for name in names.split(",")]
    for name in asked:
        if name not in made:
            print(f"skipped: {name} (known: {', '.join(made)})", flush=True)
    return [made[name] for name in asked if name in made]


def rows(*kinds: str) -> list[dict[str, Any]]:
    """All stored results of these kinds, the peers' and ours; of repeated ones the last."""
    kept: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in (*_read(folder() / "results"), *_read(OUT)):
        if row["kind"] in kinds:
            names = ("kind", "adaptor", "problem", "seed", "n", "workers", "horizon", "dataset")
            trials = row.get("trials") if row["kind"] == "regret" else None
            kept[(*(row.get(name) for name in names), trials)] = row
    return list(kept.values())


def _read(path: Path) -> Iterator[dict[str, Any]]:
    for file in sorted(path.glob("*.jsonl")):
        for line in file.read_text().splitlines():
            yield json.loads(line)


def append(name: str, row: dict[str, Any]) -> None:
    """Add a row to one of our result files."""
    OUT.mkdir(parents=True, exist_ok=True)
    with (OUT / name).open("a") as file:
        file.write(json.dumps(row) + "\n")
