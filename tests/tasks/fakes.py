"""What a recipe needs besides its config: a run's data on disk, a context, a reporter."""

from __future__ import annotations

import contextlib
import copy
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from autodl.data import read_images
from autodl.executors.cutoff import TrialInterrupted
from autodl.executors.protocol import Decision
from autodl.tasks.options import TrainingOptions, ValidationOptions, get_preset
from autodl.tasks.run_data import Intake, RunData, prepare
from autodl.tasks.trial_context import TrialContext
from autodl.training import get_metric
from tests.tasks import made


class FakeReporter:
    """Keeps what a recipe reports.

    Args:
        folder: the trial's own directory.
        trial_id: its number.
        left_s: seconds left, always the same; None: no limit.
        stop_at: the report, from 1, at which the driver ends the trial.
    """

    seed = 5

    def __init__(
        self, folder: Path, trial_id: int = 0, *, left_s: float | None = None, stop_at: int | None = None
    ) -> None:
        self.checkpoint_dir, self.trial_id = folder, trial_id
        self.time_left_s, self.stop_at = left_s, stop_at
        self.reports: list[dict[str, float]] = []
        self.state: Any = None

    def __call__(self, **metrics: float) -> None:
        self.reports.append(metrics)
        if len(self.reports) == self.stop_at:
            raise TrialInterrupted(Decision.STOP)

    def save(self, state: Any) -> None:
        self.state = copy.deepcopy(state)

    def load(self) -> Any:
        return self.state


def colour_data(root: Path, count: int = 20, *, cross_validate: bool = False) -> RunData:
    """Blue, green and red pictures of 8 px, prepared as a run does; `count` of each."""
    labels = [name for name in made.COLOURS for _ in range(count)]
    images = np.stack([made.patch(name, i) for i, name in enumerate(labels)])
    intake = Intake(8, "raise", num_threads=1, deadline=None, cross_validate=cross_validate)
    table = read_images((images, labels))
    return prepare(root, table, None, intake, ValidationOptions(), 0, {"input_size": 8})


def context(cache: Path, recipes: Mapping[str, Mapping[str, Any]], **changes: Any) -> TrialContext:
    """A run without limits."""
    values: dict[str, Any] = {
        "metric": get_metric("accuracy"),
        "training": TrainingOptions(precision="fp32"),
        "preset": get_preset("fast"),
        "epochs": None,
        "batch_size": None,
        "class_weights": None,
        "shares": (1.0,),
        "time_limit_s": None,
    }
    return TrialContext(cache, recipes, **{**values, **changes})


HOLDER = """
import fcntl, sys, time
with open(sys.argv[1], "w") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
    open(sys.argv[1] + ".released", "w").close()
"""


@contextlib.contextmanager
def held_lock(path: Path, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """Another process holds the lock, for some seconds at most; it leaves a note when it lets go."""
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", HOLDER, str(path), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()
