"""A made run: deterministic, shaped like a real one, made without training anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from autodl.trial import Config, Report, Trial, TrialState


@dataclass
class MadeRun:
    trials: list[Trial]
    metric: str = "accuracy"
    mode: str = "max"
    num_trials: int | None = 20
    time_limit_s: float | None = 300.0
    elapsed_s: float = 120.0
    num_workers: int = 2
    path: Path = field(default_factory=lambda: Path("run"))


def made_trial(
    trial_id: int, config: Config, values: list[float], *, sign: float = 1.0, start: float = 0.0
) -> Trial:
    trial = Trial(trial_id, config, TrialState.COMPLETED, started_s=start, ended_s=start + 10.0, worker="w0")
    for epoch, value in enumerate(values, 1):
        trial.reports.append(Report(trial_id, config, TrialState.RUNNING, epoch, value, sign * value))
    return trial


def made_trials(count: int = 12, seed: int = 0) -> list[Trial]:
    """``lr`` decides, ``noise`` does nothing, ``net/width`` is active for ``net`` = small only.

    Trial 2 fails; trial 5 is best by a margin.
    """
    rng = np.random.default_rng(seed)
    trials = []
    for i in range(count):
        lr = 0.01 if i == 5 else float(10 ** rng.uniform(-4, -1))
        config: Config = {"lr": lr, "net": "small" if i % 2 else "large", "noise": float(rng.uniform())}
        if config["net"] == "small":
            config["net/width"] = int(rng.integers(8, 64))
        top = 0.95 - 0.1 * (np.log10(lr) + 2.0) ** 2
        values = [float(top * (1 - np.exp(-e / 2))) for e in range(1, 5)]
        trial = made_trial(i, config, values, start=10.0 * (i // 2))
        trial.worker = f"w{i % 2}"
        if i == 2:
            trial.state, trial.reports = TrialState.FAILED, []
            trial.error = (
                'Traceback (most recent call last):\n  File "a.py", line 1\nTrialError: the loss is NaN'
            )
        trials.append(trial)
    return trials


@pytest.fixture
def run() -> MadeRun:
    return MadeRun(made_trials())


@pytest.fixture(scope="session")
def make_run() -> Callable[..., MadeRun]:
    return lambda count=12, **options: MadeRun(made_trials(count), **options)


@pytest.fixture(scope="session")
def make_trial() -> Callable[..., Trial]:
    return made_trial
