from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from autodl.errors import OptionError
from autodl.executors.joblib_pool import JoblibExecutor
from autodl.executors.joblib_vitals import beat_interval_s, rss_mb
from autodl.executors.protocol import Decision, Finished, Lost, Reported
from autodl.journal import read_journal
from autodl.spaces import Real
from autodl.testing.executors import ExecutorContract, Recorder, job
from autodl.trial import TrialState
from autodl.tuner import tune

SPACE = {"x": Real(0.0, 1.0)}


def drive(executor: JoblibExecutor, recorder: Recorder, ids: list[int]) -> None:
    ExecutorContract().drive(executor, recorder, ids)


def is_gone(pid: int, patience_s: float = 5.0) -> bool:
    """True once no such process runs; a dead one that nobody waited for counts as gone."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


# ---------------------------------------------------------------------- hung workers


def test_stopped_worker_is_killed_and_its_trial_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    def train(args, reporter) -> None:
        total = reporter.load() or 0
        for epoch in reporter.epochs(3):
            if reporter.trial_id == 1 and reporter.attempt == 1 and epoch == 2:
                os.kill(os.getpid(), signal.SIGSTOP)
            total += epoch
            reporter.save(total)
            reporter(loss=float(total), attempt=reporter.attempt, pid=os.getpid())

    with JoblibExecutor(2, heartbeat_timeout_s=3.0) as executor:
        result = tune(train, SPACE, metric="loss", num_trials=4, executor=executor, path=tmp_path / "run")
    assert [t.state for t in result.trials] == [TrialState.COMPLETED] * 4
    assert [[(r.resource, r.value) for r in t.reports] for t in result.trials] == [
        [(1, 1), (2, 3), (3, 6)]
    ] * 4
    assert [t.attempt for t in result.trials] == [1, 2, 1, 1]
    (lost,) = [e for e in read_journal(tmp_path / "run/journal.jsonl") if e["event"] == "lost"]
    assert "no sign of life for 3 s" in lost["reason"]
    assert is_gone(int(result.trials[1].reports[0].metrics["pid"]))


def test_c_call_that_keeps_the_interpreters_lock_is_a_hang(tmp_path: Path) -> None:
    def hangs(config, reporter) -> None:
        reporter(loss=1.0)
        ctypes.PyDLL(None).sleep(60)

    recorder = Recorder()
    with JoblibExecutor(1, heartbeat_timeout_s=0.6) as executor:
        executor.submit(job(0, hangs, tmp_path))
        drive(executor, recorder, [0])
    assert isinstance(recorder.messages[-1], Lost)


def test_silent_work_is_no_hang(tmp_path: Path) -> None:
    def sleeps(config, reporter) -> None:
        time.sleep(2.0)

    def counts(config, reporter) -> None:
        until = time.monotonic() + 2.0
        while time.monotonic() < until:
            sum(range(1_000))

    recorder = Recorder()
    with JoblibExecutor(2, heartbeat_timeout_s=1.0) as executor:
        executor.submit(job(0, sleeps, tmp_path))
        executor.submit(job(1, counts, tmp_path))
        drive(executor, recorder, [0, 1])
    assert [type(message) for message in recorder.messages] == [Finished, Finished]


def test_a_driver_that_was_away_blames_no_worker(tmp_path: Path) -> None:
    def reports_twice(config, reporter) -> None:
        reporter(loss=1.0)
        time.sleep(1.5)
        reporter(loss=0.5)

    def answer(report: Reported) -> Decision:
        if report.resource == 1:
            time.sleep(1.2)  # a model is fitted
        return Decision.CONTINUE

    recorder = Recorder(answer)
    with JoblibExecutor(1, heartbeat_timeout_s=0.8) as executor:
        executor.submit(job(0, reports_twice, tmp_path))
        drive(executor, recorder, [0])
    assert recorder.resources(0) == [1, 2]
    assert isinstance(recorder.messages[-1], Finished)


def test_a_worker_that_never_connects_is_a_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autodl.executors.joblib_slot.START_S", 0.05)
    recorder = Recorder()
    with JoblibExecutor(1, heartbeat_timeout_s=0.05) as executor:
        executor.submit(job(0, lambda config, reporter: None, tmp_path))
        drive(executor, recorder, [0])
    assert isinstance(recorder.messages[-1], Lost)


def test_no_timeout_no_beats() -> None:
    assert beat_interval_s(None) is None
    assert beat_interval_s(2.0) == 0.5
    assert beat_interval_s(120.0) == 5.0


@pytest.mark.parametrize("name", ["heartbeat_timeout_s", "max_worker_rss_mb"])
@pytest.mark.parametrize("bad", [0, -1.0, True, "2"])
def test_refuses_other_than_limits(name: str, bad: object) -> None:
    with pytest.raises(OptionError, match=f"{name} must be a number > 0"):
        JoblibExecutor(1, **{name: bad})


# ---------------------------------------------------------------------- leaks


def leaks(config, reporter) -> None:
    kept = sys.modules.setdefault("autodl_test_leak", [])
    kept.append(bytearray(b"x") * 100_000_000)
    reporter(pid=os.getpid(), kept=len(kept))


def test_a_worker_that_leaks_is_replaced_between_trials() -> None:
    with JoblibExecutor(1, max_worker_rss_mb=400) as executor:
        result = tune(leaks, SPACE, metric="kept", mode="min", num_trials=6, executor=executor)
    kept = [int(t.reports[0].metrics["kept"]) for t in result.trials]
    pids = [t.reports[0].metrics["pid"] for t in result.trials]
    assert [t.state for t in result.trials] == [TrialState.COMPLETED] * 6
    assert [t.attempt for t in result.trials] == [1] * 6
    assert max(kept) <= 4  # 100 MB each
    assert 2 <= kept.count(1) == len(set(pids))


def test_without_a_limit_workers_stay() -> None:
    with JoblibExecutor(1) as executor:
        result = tune(leaks, SPACE, metric="kept", mode="min", num_trials=3, executor=executor)
    assert [t.reports[0].metrics["kept"] for t in result.trials] == [1, 2, 3]


def test_rss_is_that_of_this_process() -> None:
    code = (
        "from autodl.executors.joblib_vitals import rss_mb; a = rss_mb(); "
        "b = bytearray(b'x') * 50_000_000; print(rss_mb() - a)"
    )
    grown = float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert 45 < grown < 60
    assert 10 < rss_mb() < 50_000
