"""One run of 100 trials on two worker processes, with 200 kills of workers that are at work.

    python benchmarks/worker_kills.py

Writes ``benchmarks/results/worker_kills.md``. Wanted: every trial ends once, none is lost, and no
epoch of a trial is counted twice, whatever was killed and when.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import autodl as ad
from autodl.journal import read_journal

RESULTS = Path(__file__).parent / "results" / "worker_kills.md"
SPACE = {"lr": ad.Real(1e-4, 1e-1, log=True), "width": ad.Int(8, 128)}
NUM_EPOCHS = 5


def train(args: Any, reporter: Any) -> None:
    """Sum the epochs in a checkpoint; anything lost or done twice shows in the sum."""
    state = reporter.load() or {"total": 0}
    for epoch in reporter.epochs(NUM_EPOCHS):
        time.sleep(0.03)
        state["total"] += epoch
        reporter.save(state)
        time.sleep(0.01)  # saved, not reported: the worst moment to die
        reporter(loss=args.lr / epoch, total=state["total"], pid=os.getpid())


@dataclass
class Killer:
    """Kills the process of a trial that reported, at a random moment after its report.

    A callback of the driver for what runs where, and a thread that kills. Moments lie between the
    report's way back to the trial and the end of the next epoch, its save included.

    Attributes:
        num_kills: kills to make; then the run is left in peace.
        rng: chooses whom and when.
        longest_s: latest moment after a report.
        kills: kills made.
        pids: process of each trial at work.
    """

    num_kills: int
    rng: random.Random
    longest_s: float = 0.06
    kills: list[tuple[int, int]] = field(default_factory=list)  # (trial, resource reported before)
    pids: dict[int, tuple[int, int]] = field(default_factory=dict)
    dead: set[int] = field(default_factory=set)
    lock: Any = field(default_factory=threading.Lock)

    def on_report(self, trial: Any, report: Any) -> None:
        """A trial is at work in this process."""
        with self.lock:
            self.pids[trial.trial_id] = (int(report.metrics["pid"]), report.resource)
        if report.resource < NUM_EPOCHS and len(self.kills) < self.num_kills:
            timer = threading.Timer(self.rng.uniform(0.0, self.longest_s), self._kill, (trial.trial_id,))
            timer.daemon = True
            timer.start()

    def on_trial_end(self, trial: Any) -> None:
        """The trial is at work no more."""
        with self.lock:
            self.pids.pop(trial.trial_id, None)

    def _kill(self, trial_id: int) -> None:
        with self.lock:
            pid, resource = self.pids.get(trial_id, (0, 0))
            if not pid or pid in self.dead or len(self.kills) >= self.num_kills:
                return
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                return
            self.dead.add(pid)
            self.kills.append((trial_id, resource))


def check(events: list[dict[str, Any]], num_trials: int) -> dict[str, int]:
    """What was lost or counted twice, by the journal alone."""
    starts = Counter(e["trial"] for e in events if e["event"] == "start")
    ends = Counter(e["trial"] for e in events if e["event"] == "end")
    reports = Counter((e["trial"], e["resource"]) for e in events if e["event"] == "report")
    wanted = {(trial, epoch) for trial in range(num_trials) for epoch in range(1, NUM_EPOCHS + 1)}
    sums = [
        e["metrics"]["total"] != e["resource"] * (e["resource"] + 1) / 2
        for e in events
        if e["event"] == "report"
    ]
    completed = {e["trial"] for e in events if e["event"] == "end" and e["state"] == "completed"}
    return {
        "trials started": len(starts),
        "trials completed": len(completed),
        "trials lost (started, not completed)": len(set(starts) - completed),
        "trials started or ended more than once": sum(n > 1 for n in (*starts.values(), *ends.values())),
        "epochs reported": sum(reports.values()),
        "epochs missing": len(wanted - set(reports)),
        "epochs counted twice": sum(n - 1 for n in reports.values()),
        "epochs whose checkpoint lost or repeated one": sum(sums),
        "workers lost, by the journal": sum(e["event"] == "lost" for e in events),
    }


def main() -> None:
    """Run, kill, count, write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    killer = Killer(options.kills, random.Random(options.seed))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        started = time.perf_counter()
        result = ad.tune(
            train,
            SPACE,
            metric="loss",
            searcher="random",
            num_trials=options.trials,
            num_workers=options.workers,
            path=path,
            seed=options.seed,
            callbacks=[killer],
            max_losses=options.kills + 1,
        )
        wall_s = time.perf_counter() - started
        figures = check(read_journal(path / "journal.jsonl"), options.trials)
    undisturbed = ad.tune(
        lambda args, reporter: reporter(loss=1.0),
        SPACE,
        metric="loss",
        searcher="random",
        num_trials=options.trials,
        seed=options.seed,
    )
    other = sum(a.config != b.config for a, b in zip(result.trials, undisturbed.trials, strict=True))
    most = max(Counter(trial for trial, _ in killer.kills).values(), default=0)
    figures = {"kills (SIGKILL)": len(killer.kills), "most kills of one trial": most} | figures
    figures["configs other than those of an undisturbed run"] = other
    lines = [
        "# Workers killed under a run",
        "",
        f"`python benchmarks/worker_kills.py`: {options.trials} trials of {NUM_EPOCHS} epochs, each with a "
        f"checkpoint, on {options.workers} joblib",
        "workers, which are killed at random moments while their trial is at work (between its save and its",
        "report too). Counted from the journal.",
        "",
        f"Wall time {wall_s:.0f} s on 2 shared cores, most of it new worker processes that start.",
        "",
        "| what | count |",
        "|---|---|",
        *(f"| {name} | {count} |" for name, count in figures.items()),
    ]
    print("\n".join(lines))
    RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
