"""Kill -9 an image fit at random moments, resume it, and count what was lost or run twice.

    python benchmarks/kill_and_resume.py            # 10 kills of a fit with one worker, 10 with two

Writes ``benchmarks/results/kill_and_resume.md``. Wanted: each run finishes, no finished trial is
lost, changed or run twice.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "kill_and_resume.md"
NUM_TRIALS = 6
ENVIRONMENT = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}


@dataclass(frozen=True)
class Outcome:
    """One kill and its resume."""

    workers: int
    killed_after_s: float
    ended_before: int
    ended_after: int
    lost: int
    doubled: int
    accuracy: float


def child(path: str, workers: int, resume: bool) -> None:
    """Fit, or go on with the fit, in this process."""
    from sklearn.datasets import load_digits

    from autodl import ImageClassification

    images, labels = load_digits(return_X_y=True)
    if resume:
        classifier = ImageClassification.resume(path)
    else:
        classifier = ImageClassification.fit(
            (images[:1000], labels[:1000]),
            num_trials=NUM_TRIALS,
            epochs=3,
            num_workers=workers,
            path=path,
            verbosity=0,
        )
    accuracy = classifier.evaluate((images[1000:], labels[1000:]), metrics=["accuracy"])["accuracy"]
    print(json.dumps({"accuracy": accuracy}))


def events(path: Path) -> list[dict[str, object]]:
    """The journal's whole lines."""
    journal = path / "journal.jsonl"
    lines = journal.read_text().split("\n")[:-1] if journal.exists() else []
    return [json.loads(line) for line in lines]


def ended(path: Path) -> dict[object, object]:
    """Number of each ended trial, and its last reported accuracy."""
    values: dict[object, object] = {}
    finished = set()
    for event in events(path):
        if event["event"] == "report":
            values[event["trial"]] = event["metrics"]["accuracy"]  # type: ignore[index]
        if event["event"] == "end":
            finished.add(event["trial"])
    return {trial: values.get(trial) for trial in finished}


def kill_once(rng: random.Random, workers: int, longest_s: float) -> Outcome:
    """Start, kill, resume, compare."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        command = [sys.executable, __file__, "--child", str(path), str(workers)]
        run = subprocess.Popen(
            [*command, "start"], env=ENVIRONMENT, stdout=subprocess.DEVNULL, start_new_session=True
        )
        while not (path / "journal.jsonl").exists() and run.poll() is None:
            time.sleep(0.02)  # a run that has not begun has nothing to lose
        after_s = rng.uniform(0.0, longest_s)
        time.sleep(after_s)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        before = ended(path)
        resumed = subprocess.run(
            [*command, "resume"], env=ENVIRONMENT, capture_output=True, text=True, check=True
        )
        after = ended(path)
        ends = [event["trial"] for event in events(path) if event["event"] == "end"]
        return Outcome(
            workers=workers,
            killed_after_s=after_s,
            ended_before=len(before),
            ended_after=len(after),
            lost=sum(after.get(trial) != value for trial, value in before.items()),
            doubled=len(ends) - len(set(ends)),
            accuracy=json.loads(resumed.stdout.splitlines()[-1])["accuracy"],
        )


def main() -> None:
    """Kill, resume, write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--longest-s", type=float, default=12.0, help="latest moment of a kill")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        path, workers, how = options.child
        child(path, int(workers), how == "resume")
        return
    rng = random.Random(0)
    lines = [
        "# Kill -9 and resume",
        "",
        f"`python benchmarks/kill_and_resume.py`: a fit of {NUM_TRIALS} trials on 1,000 digits, killed at a",
        "random moment after its journal appears, then resumed by `ImageClassification.resume(path)`.",
        "",
        "| workers | killed after s | ended before | ended after | lost or changed | run twice | accuracy |",
        "|---|---|---|---|---|---|---|",
    ]
    for workers in options.workers:
        for _ in range(options.kills):
            o = kill_once(rng, workers, options.longest_s)
            after = f"{o.ended_after} of {NUM_TRIALS}"
            cells = (o.workers, f"{o.killed_after_s:.1f}", o.ended_before, after, o.lost, o.doubled)
            lines.append(f"| {' | '.join(map(str, cells))} | {o.accuracy:.3f} |")
            print(lines[-1], flush=True)
            RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
