"""Faults, injected: killed drivers and workers, Ctrl-C, full disks."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from autodl.errors import AllTrialsFailedError, JournalError
from autodl.executors.joblib_pool import JoblibExecutor
from autodl.journal import read_journal
from autodl.spaces import Real
from autodl.trial import TrialState
from autodl.tuner import tune

ROOT = Path(__file__).parents[1]
SPACE = {"x": Real(0.0, 1.0)}

DRIVER = """
import sys, time
from autodl.spaces import Real
from autodl.tuner import tune

def train(args, reporter):
    for epoch in reporter.epochs(3):
        time.sleep(0.004)
        reporter(loss=args.x / epoch)

path, workers = sys.argv[1], int(sys.argv[2])
options = {"metric": "loss", "num_trials": 12, "searcher": "random", "scheduler": "asha", "max_resource": 3}
tune(train, {"x": Real(0, 1)}, num_workers=workers, path=path, resume=True, **options)
"""


def start_driver(path: Path, workers: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", DRIVER, str(path), str(workers)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def kill_after(driver: subprocess.Popen[str], journal: Path, num_lines: int) -> None:
    """Kill the driver once its journal has grown by some lines, or let it finish."""
    before = journal.read_bytes().count(b"\n") if journal.exists() else 0
    while driver.poll() is None:
        if journal.exists() and journal.read_bytes().count(b"\n") >= before + num_lines:
            driver.kill()
            break
        time.sleep(0.001)
    _, errors = driver.communicate()
    assert driver.returncode in (0, -signal.SIGKILL), errors


def started_configs(journal: Path) -> list[dict]:
    return [e["config"] for e in read_journal(journal) if e["event"] == "start"]


def reports(journal: Path) -> Counter:
    return Counter((e["trial"], e["resource"]) for e in read_journal(journal) if e["event"] == "report")


@pytest.mark.parametrize("workers", [1, 2])
def test_driver_killed_again_and_again_loses_and_repeats_nothing(tmp_path: Path, workers: int) -> None:
    undisturbed = tmp_path / "undisturbed"
    driver = start_driver(undisturbed, 1)
    _, errors = driver.communicate()
    assert driver.returncode == 0, errors

    rng = random.Random(workers)
    journal = tmp_path / "run" / "journal.jsonl"
    kills, ended = 0, set()
    for _ in range(20):
        driver = start_driver(tmp_path / "run", workers)
        kill_after(driver, journal, rng.randrange(1, 25))
        kills += driver.returncode != 0
        events = read_journal(journal)
        now_ended = [e["trial"] for e in events if e["event"] == "end"]
        assert ended <= set(now_ended), "a finished trial was lost"
        ended = set(now_ended)
        if driver.returncode == 0:
            break
    assert kills >= 2
    ends = Counter(e["trial"] for e in read_journal(journal) if e["event"] == "end")
    assert ends == dict.fromkeys(range(12), 1)
    assert max(reports(journal).values()) == 1
    assert started_configs(journal) == started_configs(undisturbed / "journal.jsonl")
    if workers == 1:
        assert reports(journal) == reports(undisturbed / "journal.jsonl")


# ---------------------------------------------------------------------- workers


def test_killed_workers_cost_no_trial_and_double_none(tmp_path: Path) -> None:
    def train(args, reporter) -> None:
        for epoch in reporter.epochs(3):
            if epoch == 2 and reporter.attempt <= reporter.trial_id % 3:
                os.kill(os.getpid(), signal.SIGKILL)
            reporter(loss=args.x / epoch, attempt=reporter.attempt)

    result = tune(train, SPACE, metric="loss", num_trials=9, num_workers=2, path=tmp_path / "run")
    assert [t.state for t in result.trials] == [TrialState.COMPLETED] * 9
    assert [t.attempt for t in result.trials] == [1, 2, 3] * 3
    assert [[r.resource for r in t.reports] for t in result.trials] == [[1, 2, 3]] * 9
    assert [t.trial_id for t in result.trials] == list(range(9))
    lost = [e for e in read_journal(tmp_path / "run/journal.jsonl") if e["event"] == "lost"]
    assert len(lost) == 9
    assert "SIGKILL" in lost[0]["reason"]
    plain = tune(train, SPACE, metric="attempt", mode="min", num_trials=1)
    assert plain.trials[0].config == result.trials[0].config


def test_requeued_trial_goes_on_from_its_checkpoint() -> None:
    def train(args, reporter) -> None:
        total = reporter.load() or 0
        for epoch in reporter.epochs(4):
            if epoch == 3 and reporter.attempt == 1:
                os._exit(3)
            total += epoch
            reporter.save(total)
            reporter(loss=float(total), attempt=reporter.attempt)

    with JoblibExecutor(1) as executor:
        result = tune(train, SPACE, metric="loss", num_trials=1, executor=executor)
    got = [(r.resource, r.value, r.metrics["attempt"]) for r in result.trials[0].reports]
    assert got == [(1, 1, 1), (2, 3, 1), (3, 6, 2), (4, 10, 2)]


def test_trial_that_always_kills_its_worker_fails_after_three_tries() -> None:
    def train(args, reporter) -> None:
        if reporter.trial_id == 0:
            os._exit(7)
        reporter(loss=1.0)

    with JoblibExecutor(1) as executor:
        result = tune(train, SPACE, metric="loss", num_trials=2, executor=executor)
    assert result.trials[0].state is TrialState.FAILED
    assert "WorkerLostError: the worker died under the trial 3 times" in result.trials[0].error
    assert "exit code 7" in result.trials[0].error
    assert result.trials[1].state is TrialState.COMPLETED


# ---------------------------------------------------------------------- Ctrl-C


def press_ctrl_c(after_s: float) -> threading.Timer:
    timer = threading.Timer(after_s, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    return timer


def sleeps(args, reporter) -> None:
    if reporter.trial_id >= 2:
        time.sleep(60)
    reporter(loss=args.x)


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_gives_the_best_so_far_and_resume_goes_on(tmp_path: Path, workers: int) -> None:
    class PressWhenItSleeps:
        def on_trial_start(self, trial) -> None:
            if trial.trial_id == 2:
                press_ctrl_c(0.3)

    path = tmp_path / "run"
    options = {"metric": "loss", "num_trials": 4, "path": path}
    started = time.monotonic()
    result = tune(sleeps, SPACE, num_workers=workers, callbacks=[PressWhenItSleeps()], **options)
    assert time.monotonic() - started < 8
    assert result.stopped_by == "interrupted"
    assert result.best_value == min(t.config["x"] for t in result.trials[:2])
    assert {t.state for t in result.trials[2:]} == {TrialState.STOPPED}
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    resumed = tune(lambda args, reporter: reporter(loss=args.x), SPACE, resume=True, **options)
    assert [t.state for t in resumed.trials] == [TrialState.COMPLETED] * 4
    assert [t.config for t in resumed.trials][: len(result.trials)] == [t.config for t in result.trials]


def test_ctrl_c_in_the_drivers_code_waits_until_it_is_done(tmp_path: Path) -> None:
    class Press:
        def on_report(self, trial, report) -> None:
            if trial.trial_id == 1:
                signal.raise_signal(signal.SIGINT)

    result = tune(
        lambda args, reporter: [reporter(loss=args.x) for _ in range(3)],
        SPACE,
        metric="loss",
        num_trials=5,
        callbacks=[Press()],
        path=tmp_path / "run",
    )
    assert result.stopped_by == "interrupted"
    assert [len(t.reports) for t in result.trials] == [3, 1]
    assert reports(tmp_path / "run/journal.jsonl")[1, 1] == 1


def test_second_ctrl_c_raises(tmp_path: Path) -> None:
    class PressTwice:
        def on_report(self, trial, report) -> None:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    def train(args, reporter) -> None:
        reporter(loss=1.0)

    with pytest.raises(KeyboardInterrupt):
        tune(train, SPACE, metric="loss", num_trials=5, callbacks=[PressTwice()], path=tmp_path / "run")
    resumed = tune(train, SPACE, metric="loss", num_trials=5, path=tmp_path / "run", resume=True)
    assert len(resumed.trials) == 5


# ---------------------------------------------------------------------- disk


class FullFile:
    """What a file on a full disk does."""

    def __init__(self, file) -> None:
        self._file = file

    def write(self, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def __getattr__(self, name: str):
        return getattr(self._file, name)


class FillDisk:
    """Fills the disk under the journal when a trial starts."""

    def __init__(self, trial_id: int) -> None:
        self._trial_id = trial_id

    def on_run_start(self, run) -> None:
        self._run = run

    def on_trial_start(self, trial) -> None:
        if trial.trial_id == self._trial_id:
            journal = self._run._directory._journal
            journal._file = FullFile(journal._file)


@pytest.mark.parametrize("workers", [1, 2])
def test_full_disk_ends_the_run_with_the_best_so_far(tmp_path: Path, workers: int) -> None:
    def train(args, reporter) -> None:
        reporter(loss=args.x)

    options = {"metric": "loss", "num_trials": 8, "path": tmp_path / "run"}
    with pytest.warns(RuntimeWarning, match=r"ended early.*No space left"):
        result = tune(train, SPACE, num_workers=workers, callbacks=[FillDisk(3)], **options)
    assert result.stopped_by == "journal"
    whole = [t for t in result.trials if t.state is TrialState.COMPLETED]
    assert len(whole) >= 2
    assert result.best_value <= min(t.config["x"] for t in whole)
    resumed = tune(train, SPACE, resume=True, **options)  # somebody made room
    assert [t.state for t in resumed.trials] == [TrialState.COMPLETED] * 8


def test_full_disk_before_any_result_is_a_clear_error(tmp_path: Path) -> None:
    class FillAtStart:
        def on_run_start(self, run) -> None:
            run._directory._journal._file = FullFile(run._directory._journal._file)

    with pytest.raises(JournalError, match=r"No space left.*free some space"):
        tune(
            lambda args, reporter: reporter(loss=1.0),
            SPACE,
            metric="loss",
            num_trials=3,
            callbacks=[FillAtStart()],
            path=tmp_path / "run",
        )


def test_full_disk_is_not_the_trials_to_catch(tmp_path: Path) -> None:
    def train(args, reporter) -> None:
        try:
            reporter(loss=args.x)
        except Exception:
            raise AssertionError("the journal's error came to the trial") from None

    with pytest.warns(RuntimeWarning, match="ended early"):
        result = tune(
            train, SPACE, metric="loss", num_trials=3, callbacks=[FillDisk(0)], path=tmp_path / "run"
        )
    assert result.best_value == result.trials[0].config["x"]  # measured, though not written


def test_full_disk_under_a_checkpoint_fails_the_trial_alone(monkeypatch) -> None:
    import torch

    real = torch.save

    def save(content, file) -> None:
        if content["state"] == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(content, file)

    monkeypatch.setattr(torch, "save", save)

    def train(args, reporter) -> None:
        reporter.save(reporter.trial_id)
        reporter(loss=args.x)

    result = tune(train, SPACE, metric="loss", num_trials=3)
    assert [t.state.value for t in result.trials] == ["completed", "failed", "completed"]
    assert "No space left" in result.trials[1].error
    assert list(result.checkpoint_dir(1).iterdir()) == []


# ---------------------------------------------------------------------- others


def test_trial_that_prints_megabytes_does_no_harm(capfd) -> None:
    def train(args, reporter) -> None:
        print("x" * 2_000_000)
        reporter(loss=args.x)

    result = tune(train, SPACE, metric="loss", num_trials=2, num_workers=2)
    assert len(result.trials) == 2
    capfd.readouterr()


def test_endless_recursion_is_a_failure_with_a_short_traceback() -> None:
    def train(args, reporter) -> None:
        train(args, reporter)

    with pytest.raises(AllTrialsFailedError, match="RecursionError") as caught:
        tune(train, SPACE, metric="loss", num_trials=1)
    assert len(str(caught.value)) < 25_000


def test_searcher_that_raises_ends_the_run_and_the_journal_stays(tmp_path: Path) -> None:
    class Broken:
        def suggest(self, trial_id: int):
            if trial_id == 2:
                raise ZeroDivisionError
            return {"x": 0.5}

        def observe(self, report) -> None: ...

    def train(args, reporter) -> None:
        reporter(loss=args.x)

    options = {"metric": "loss", "num_trials": 4, "path": tmp_path / "run"}
    with pytest.raises(ZeroDivisionError):
        tune(train, SPACE, searcher=Broken(), **options)
    events = read_journal(tmp_path / "run/journal.jsonl")
    assert [e["trial"] for e in events if e["event"] == "end"] == [0, 1]
