"""Executors whose workers come and go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autodl.errors import WorkerLostError
from autodl.executors.serial import SerialExecutor
from autodl.spaces import Real
from autodl.tuner import tune

SPACE = {"x": Real(0, 1)}


def train(args: Any, reporter: Any) -> None:
    reporter(loss=args.x)


class ComingAndGoing(SerialExecutor):
    """Has no worker at first, and after each job none for three polls."""

    absent = 3

    @property
    def num_workers(self) -> int:  # type: ignore[override]
        return int(self.absent == 0)

    def poll(self, handle: Any, timeout_s: float) -> None:
        if self._jobs:
            self.absent = 3
            super().poll(handle, timeout_s)
        elif self.absent:
            self.absent -= 1


class GivesUp(ComingAndGoing):
    """Has had no worker for too long, after some polls."""

    def __init__(self, polls: int) -> None:
        super().__init__()
        self.polls = polls

    def poll(self, handle: Any, timeout_s: float) -> None:
        self.polls -= 1
        if self.polls == 0:
            raise WorkerLostError("nobody is there")
        super().poll(handle, timeout_s)


def test_a_run_without_workers_waits_for_some() -> None:
    result = tune(train, SPACE, metric="loss", searcher="random", num_trials=4, executor=ComingAndGoing())
    assert [trial.state for trial in result.trials] == ["completed"] * 4
    assert result.stopped_by == "num_trials"


def test_a_run_whose_workers_stay_away_ends_with_its_best_and_can_be_resumed(tmp_path: Path) -> None:
    options: dict[str, Any] = {"metric": "loss", "searcher": "random", "num_trials": 5}
    path = tmp_path / "run"
    with pytest.warns(RuntimeWarning, match="ended early: nobody is there"):
        cut = tune(train, SPACE, executor=GivesUp(polls=10), path=path, **options)
    assert cut.stopped_by == "workers_lost"
    assert 0 < len(cut.trials) < 5
    resumed = tune(train, SPACE, path=path, resume=True, **options)
    alone = tune(train, SPACE, **options)
    assert [trial.config for trial in resumed.trials] == [trial.config for trial in alone.trials]


def test_no_worker_at_all_is_an_error() -> None:
    with pytest.raises(WorkerLostError, match="nobody is there"):
        tune(train, SPACE, metric="loss", searcher="random", num_trials=5, executor=GivesUp(polls=1))
