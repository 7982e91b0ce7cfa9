"""A run that was cut off anywhere and resumed is the run that was left in peace."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from autodl.errors import AllTrialsFailedError, OptionError
from autodl.executors.joblib_pool import JoblibExecutor
from autodl.journal import read_journal
from autodl.schedulers.asha import ASHAScheduler
from autodl.spaces import Categorical, Real
from autodl.trial import TrialState
from autodl.tuner import tune

SPACE = {"x": Real(0.0, 1.0), "kind": Categorical("a", "b", "c")}
CASES = {
    "random": {"num_trials": 12},
    "gp": {"num_trials": 9},
    "tpe": {"num_trials": 14},
    "asha": {"num_trials": 12, "searcher": "random", "max_resource": 4},
}
PLACES = {"random": 6, "gp": 2, "tpe": 5, "asha": 6}


def train(args, reporter) -> None:
    total = reporter.load() or 0.0
    for epoch in reporter.epochs(4):
        total += (args.x - 0.3) ** 2 / epoch + 0.1 * (args.kind == "b")
        reporter.save(total)
        reporter(loss=total / epoch)


def run(case: str, path: Path, **more: Any) -> None:
    options: dict[str, Any] = {"searcher": case} | CASES[case]
    if case == "asha":
        options["scheduler"] = ASHAScheduler(4, reduction_factor=2, type="promotion")
    tune(train, SPACE, metric="loss", path=path, seed=3, keep_checkpoints=None, **options, **more)


def without_times(journal: Path) -> list[bytes]:
    """The journal's lines, but for what no two runs share: times, worker, and what resume adds."""
    lines = []
    for event in read_journal(journal):
        if event["event"] in ("requeue", "done", "cut"):
            continue
        kept = {k: v for k, v in event.items() if k not in ("s", "created", "worker", "attempt")}
        lines.append(json.dumps(kept).encode())
    return lines


def configs(path: Path) -> bytes:
    """The configs of a run's trials, as its journal has them."""
    starts = [event for event in read_journal(path / "journal.jsonl") if event["event"] == "start"]
    return json.dumps([event["config"] for event in starts]).encode()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, Path]:
    paths = {case: tmp_path_factory.mktemp("undisturbed") / case for case in CASES}
    for case, path in paths.items():
        run(case, path)
    return paths


class Dies(BaseException):
    """The driver's end."""


class DieAfter:
    """Ends the driver without a word, after so many hooks."""

    def __init__(self, hooks: int) -> None:
        self._left = hooks

    def _count(self, *_: Any) -> None:
        self._left -= 1
        if self._left < 0:
            raise Dies

    on_trial_start = on_report = on_trial_pause = on_trial_end = _count


@pytest.mark.parametrize("case", CASES)
def test_driver_that_dies_again_and_again_proposes_the_same(case: str, undisturbed, tmp_path: Path) -> None:
    path = tmp_path / "run"
    deaths = 0
    for hooks in (3, 9, 14, 20):
        try:
            run(case, path, resume=True, callbacks=[DieAfter(hooks)])
        except Dies:
            deaths += 1
    run(case, path, resume=True)
    assert deaths >= 2
    assert without_times(path / "journal.jsonl") == without_times(undisturbed[case] / "journal.jsonl")


@pytest.mark.parametrize("case", CASES)
def test_journal_torn_anywhere_resumes_to_the_same(case: str, undisturbed, tmp_path: Path) -> None:
    whole = (undisturbed[case] / "journal.jsonl").read_bytes()
    for place in range(1, PLACES[case] + 1):
        path = tmp_path / str(place)
        path.mkdir()
        (path / "journal.jsonl").write_bytes(whole[: len(whole) * place // (PLACES[case] + 1)])
        run(case, path, resume=True)
        assert configs(path) == configs(undisturbed[case])


# ---------------------------------------------------------------------- lost workers


def dies_twice(args, reporter) -> None:
    if reporter.attempt <= 2:
        os._exit(5)
    reporter(loss=args.x)


def test_max_losses_says_how_often_a_worker_may_die(tmp_path: Path) -> None:
    options = {"metric": "loss", "num_trials": 1, "path": tmp_path / "run"}
    with JoblibExecutor(1) as executor:
        result = tune(dies_twice, SPACE, executor=executor, **options)
        assert result.trials[0].state is TrialState.COMPLETED
        with pytest.raises(AllTrialsFailedError, match="the worker died under the trial 2 times"):
            tune(dies_twice, SPACE, executor=executor, max_losses=2, **options | {"path": None})
    # A journal says what happened, under whichever limit.
    again = tune(train, SPACE, max_losses=1, resume=True, **options | {"num_trials": 2})
    assert [t.state for t in again.trials] == [TrialState.COMPLETED] * 2
    assert again.trials[0].attempt == 3


@pytest.mark.parametrize("bad", [0, True, 1.5])
def test_refuses_other_than_counts(bad) -> None:
    with pytest.raises(OptionError, match="max_losses must be a whole number >= 1"):
        tune(train, SPACE, metric="loss", num_trials=1, max_losses=bad)
