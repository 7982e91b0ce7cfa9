"""How long a person waits for `import autodl` and `autodl --help`.

    python benchmarks/startup.py

Writes ``benchmarks/results/startup.md``. Wanted: 0.2 s and 0.6 s. Medians, the interpreter's own
start included, after one run to warm the disk's cache.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "startup.md"
COMMANDS = {
    'python -c "pass"': ([sys.executable, "-c", "pass"], None),
    'python -c "import autodl"': ([sys.executable, "-c", "import autodl"], 0.2),
    "autodl --help": ([str(Path(sys.executable).parent / "autodl"), "--help"], 0.6),
}


def seconds(command: list[str]) -> float:
    """Wall seconds of one run."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    """Time the commands in turn and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(runs + 1):
        for name, (command, _) in COMMANDS.items():
            taken = seconds(command)
            if number:
                times[name].append(taken)
    lines = [
        "# Start-up",
        "",
        f"`python benchmarks/startup.py`; {platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}; medians of {runs} runs in turns.",
        "",
        "| command | median s | slowest s | wanted s |",
        "|---|---|---|---|",
    ]
    for name, (_, wanted) in COMMANDS.items():
        middle, slowest = statistics.median(times[name]), max(times[name])
        lines.append(f"| `{name}` | {middle:.3f} | {slowest:.3f} | {'' if wanted is None else wanted} |")
    RESULTS.write_text("\n".join(lines) + "\n")
    print("\n".join(lines[4:]))


if __name__ == "__main__":
    main()
