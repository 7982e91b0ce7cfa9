from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import pytest

from autodl.executors.protocol import Decision, Finished, Reported
from autodl.executors.serial import SerialExecutor
from autodl.testing.executors import ExecutorContract, Recorder, job, reports_three, sleeps_for_ever


class TestSerial(ExecutorContract):
    has_processes = False

    def make(self) -> SerialExecutor:
        return SerialExecutor()


def in_thread(function) -> None:
    errors: list[BaseException] = []

    def target() -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=target)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    if errors:
        raise errors[0]


def test_cuts_a_busy_job_outside_the_main_thread(tmp_path: Path) -> None:
    ended = []

    def busy(config, reporter) -> None:
        try:
            while True:
                pass
        finally:
            ended.append(True)

    def scenario() -> None:
        recorder, executor = Recorder(), SerialExecutor()
        executor.submit(job(0, busy, tmp_path, deadline=time.time() + 0.2))
        executor.poll(recorder, 0)
        assert isinstance(recorder.messages[-1], Finished)
        assert recorder.messages[-1].decision is Decision.STOP

    in_thread(scenario)
    assert ended == [True]


def test_abandons_a_job_that_hangs_in_c_outside_the_main_thread(tmp_path: Path) -> None:
    late: list[object] = []
    release = threading.Event()

    def hangs(config, reporter) -> None:
        while not release.is_set():
            try:
                release.wait(60)
            except BaseException:
                pass
        try:
            reporter(loss=1.0)
        except BaseException as error:
            late.append(type(error).__name__)

    def scenario() -> None:
        recorder, executor = Recorder(), SerialExecutor()
        started = time.monotonic()
        executor.submit(job(0, hangs, tmp_path, deadline=time.time() + 0.2))
        executor.poll(recorder, 0)
        assert time.monotonic() - started < 2
        assert [type(m) for m in recorder.messages] == [Finished]
        release.set()
        for _ in range(100):
            if late:
                break
            time.sleep(0.02)
        assert len(recorder.messages) == 1  # what an abandoned job reports reaches nobody

    in_thread(scenario)
    assert late == ["TrialInterrupted"]


def test_the_cut_never_falls_into_the_drivers_code(tmp_path: Path) -> None:
    steps: list[str] = []

    def slow_driver(report: Reported) -> Decision:
        steps.append("begin")
        time.sleep(0.6)  # the deadline passes here
        steps.append("end")
        return Decision.CONTINUE

    recorder, executor = Recorder(slow_driver), SerialExecutor()
    executor.submit(job(0, reports_three, tmp_path, deadline=time.time() + 0.2))
    executor.poll(recorder, 0)
    assert steps == ["begin", "end"]
    assert recorder.resources(0) == [1]
    assert recorder.messages[-1] == Finished(0, 1, Decision.STOP, "serial")


def test_an_error_of_the_driver_passes_by_the_jobs_code(tmp_path: Path) -> None:
    def swallows(config, reporter) -> None:
        try:
            reporter(loss=1.0)
        except Exception:
            raise AssertionError("the driver's error came to the job") from None

    def broken(report: Reported) -> Decision:
        raise ValueError("the driver's own")

    executor = SerialExecutor()
    executor.submit(job(0, swallows, tmp_path))
    with pytest.raises(ValueError, match="the driver's own"):
        executor.poll(Recorder(broken), 0)


def test_an_earlier_timer_goes_on_after_a_job(tmp_path: Path) -> None:
    fired = []
    old_handler = signal.signal(signal.SIGALRM, lambda *_: fired.append(True))
    old_timer = signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        executor = SerialExecutor()
        executor.submit(job(0, sleeps_for_ever, tmp_path, deadline=time.time() + 0.1))
        executor.poll(Recorder(), 0)
        assert not fired
        time.sleep(0.4)
        assert fired == [True]
    finally:
        signal.setitimer(signal.ITIMER_REAL, *old_timer)
        signal.signal(signal.SIGALRM, old_handler)


def test_ctrl_c_in_a_job_is_the_runs_matter(tmp_path: Path) -> None:
    def interrupted(config, reporter) -> None:
        raise KeyboardInterrupt

    executor = SerialExecutor()
    executor.submit(job(0, interrupted, tmp_path))
    with pytest.raises(KeyboardInterrupt):
        executor.poll(Recorder(), 0)
