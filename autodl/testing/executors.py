"""The contract of an executor, as tests to inherit.

Example::

    from autodl.testing.executors import ExecutorContract

    class TestMine(ExecutorContract):
        def make(self):
            return MyExecutor(num_workers=2)
"""

# ruff: noqa: D102  # the names of the tests say what they demand

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from autodl.executors.protocol import Decision, Executor, Failed, Finished, Job, Lost, Message, Reported
from autodl.trial import Config

Function = Callable[[Config, Any], Any]


class Recorder:
    """Handles messages: keeps them, and answers reports by a rule.

    Args:
        answer: what a report is answered; always CONTINUE if None.
    """

    def __init__(self, answer: Callable[[Reported], Decision] | None = None) -> None:
        self.messages: list[Message] = []
        self._answer = answer

    def __call__(self, message: Message) -> Decision:
        """Keep the message and answer it."""
        self.messages.append(message)
        if isinstance(message, Reported) and self._answer is not None:
            return self._answer(message)
        return Decision.CONTINUE

    def of(self, trial_id: int) -> list[Message]:
        """The messages of one trial, in order of arrival."""
        return [message for message in self.messages if message.trial_id == trial_id]

    def resources(self, trial_id: int) -> list[int]:
        """The resources that one trial reported."""
        return [message.resource for message in self.of(trial_id) if isinstance(message, Reported)]

    def ended(self, trial_id: int) -> bool:
        """True once the trial's attempt is over."""
        return any(not isinstance(message, Reported) for message in self.of(trial_id))


class ExecutorContract:
    """What the tuner relies on; inherit it and say how to make the executor.

    Attributes:
        has_processes: jobs run in processes of their own, whose death the driver survives.
        patience_s: seconds that a slow start of workers may take.
    """

    has_processes = True
    patience_s = 30.0

    def make(self) -> Executor:
        """A new executor."""
        raise NotImplementedError

    @contextmanager
    def started(self) -> Iterator[Executor]:
        """An executor whose workers are there, so that a test's times do not count their start."""
        with self.make() as executor, tempfile.TemporaryDirectory() as folder:
            recorder = Recorder()
            for slot in range(executor.num_workers):
                executor.submit(job(1_000 + slot, returns, Path(folder)))
            self.drive(executor, recorder, range(1_000, 1_000 + executor.num_workers))
            yield executor

    def drive(self, executor: Executor, recorder: Recorder, trial_ids: range | list[int]) -> None:
        """Poll until these trials' jobs are over."""
        until = time.monotonic() + self.patience_s
        while not all(recorder.ended(trial_id) for trial_id in trial_ids):
            assert time.monotonic() < until, f"not over in time: {recorder.messages}"
            executor.poll(recorder, 0.1)

    def run_one(self, tmp_path: Path, function: Function, recorder: Recorder | None = None) -> Recorder:
        """Run one job from start to end."""
        recorder = Recorder() if recorder is None else recorder
        with self.make() as executor:
            executor.submit(job(0, function, tmp_path))
            self.drive(executor, recorder, [0])
        return recorder

    # ------------------------------------------------------------------ tests

    def test_is_an_executor(self) -> None:
        executor = self.make()
        assert isinstance(executor, Executor)
        assert executor.num_workers >= 1

    def test_messages_come_in_order_and_end_with_finished(self, tmp_path: Path) -> None:
        recorder = self.run_one(tmp_path, reports_three)
        assert recorder.resources(0) == [1, 2, 3]
        assert [m.metrics for m in recorder.messages if isinstance(m, Reported)] == [
            {"loss": 1.0, "size": 2.0},
            {"loss": 0.5, "size": 2.0},
            {"loss": 1 / 3, "size": 2.0},
        ]
        last = recorder.messages[-1]
        assert isinstance(last, Finished)
        assert last.decision is Decision.CONTINUE
        assert len(recorder.messages) == 4

    def test_closures_are_shipped(self, tmp_path: Path) -> None:
        loss = 14.0
        recorder = self.run_one(tmp_path, lambda config, reporter: reporter(loss=loss))
        first = recorder.messages[0]
        assert isinstance(first, Reported), first
        assert first.metrics == {"loss": 14.0}

    def test_stop_and_pause_leave_the_function_at_once(self, tmp_path: Path) -> None:
        for decision in (Decision.STOP, Decision.PAUSE):
            recorder = Recorder(at_resource(2, decision))
            self.run_one(tmp_path / decision, reports_three, recorder)
            assert recorder.resources(0) == [1, 2]
            last = recorder.messages[-1]
            assert isinstance(last, Finished)
            assert last.decision is decision

    def test_error_is_told_with_its_traceback(self, tmp_path: Path) -> None:
        last = self.run_one(tmp_path, raises).messages[-1]
        assert isinstance(last, Failed)
        assert last.reason == "ZeroDivisionError: division by zero"
        assert "in raises" in last.traceback

    def test_a_job_that_exits_fails_alone(self, tmp_path: Path) -> None:
        recorder = Recorder()
        with self.make() as executor:
            executor.submit(job(0, exits, tmp_path))
            self.drive(executor, recorder, [0])
            executor.submit(job(1, returns, tmp_path))
            self.drive(executor, recorder, [1])
        assert isinstance(recorder.of(0)[-1], Failed)
        assert isinstance(recorder.of(1)[-1], Finished)

    def test_next_attempt_goes_on_from_the_checkpoint(self, tmp_path: Path) -> None:
        recorder = Recorder(at_resource(2, Decision.PAUSE))
        with self.make() as executor:
            executor.submit(job(0, saves_and_counts, tmp_path))
            self.drive(executor, recorder, [0])
            again = Recorder()
            executor.submit(job(0, saves_and_counts, tmp_path, attempt=2))
            self.drive(executor, again, [0])
        assert again.resources(0) == [3, 4]
        assert [m.metrics["sum"] for m in again.messages if isinstance(m, Reported)] == [6.0, 10.0]

    def test_job_is_cut_at_its_deadline(self, tmp_path: Path) -> None:
        recorder = Recorder()
        with self.started() as executor:
            started = time.time()
            executor.submit(job(0, sleeps_for_ever, tmp_path, deadline=started + 0.5))
            self.drive(executor, recorder, [0])
            assert 0.4 <= time.time() - started < 3.0
        last = recorder.messages[-1]
        assert isinstance(last, Finished)
        assert last.decision is Decision.STOP

    def test_job_cannot_swallow_the_cut(self, tmp_path: Path) -> None:
        recorder = Recorder()
        with self.started() as executor:
            executor.submit(job(0, catches_all_errors, tmp_path, deadline=time.time() + 0.3))
            self.drive(executor, recorder, [0])
        assert isinstance(recorder.messages[-1], Finished)

    def test_stop_ends_a_job_at_its_next_report(self, tmp_path: Path) -> None:
        with self.make() as executor:

            def answer(report: Reported) -> Decision:
                if report.resource == 3:
                    executor.stop(report.trial_id)
                return Decision.CONTINUE

            recorder = Recorder(answer)
            executor.submit(job(0, reports_for_ever, tmp_path))
            self.drive(executor, recorder, [0])
            assert recorder.resources(0)[-1] in (3, 4)
            executor.submit(job(1, reports_three, tmp_path))  # the wish is not kept for others
            self.drive(executor, recorder, [1])
        assert recorder.resources(1) == [1, 2, 3]

    def test_all_workers_work(self, tmp_path: Path) -> None:
        with self.make() as executor:
            recorder, ids = Recorder(), range(executor.num_workers)
            for trial_id in ids:
                executor.submit(job(trial_id, reports_three, tmp_path))
            self.drive(executor, recorder, ids)
        for trial_id in ids:
            assert recorder.resources(trial_id) == [1, 2, 3]

    def test_poll_returns_when_nothing_runs(self) -> None:
        with self.make() as executor:
            started = time.monotonic()
            executor.poll(Recorder(), 0.05)
            assert time.monotonic() - started < 1.0

    def test_can_be_used_again_after_shutdown(self, tmp_path: Path) -> None:
        executor = self.make()
        for trial_id in (0, 1):
            recorder = Recorder()
            with executor:
                executor.submit(job(trial_id, reports_three, tmp_path))
                self.drive(executor, recorder, [trial_id])
            assert recorder.resources(trial_id) == [1, 2, 3]

    def test_shutdown_kills_hanging_jobs(self, tmp_path: Path) -> None:
        if not self.has_processes:
            return
        with self.started() as executor:
            executor.submit(job(0, sleeps_for_ever, tmp_path))
            executor.poll(Recorder(), 0.2)
            started = time.monotonic()
        assert time.monotonic() - started < 3.0

    def test_dead_worker_is_told_and_replaced(self, tmp_path: Path) -> None:
        if not self.has_processes:
            return
        recorder = Recorder()
        with self.make() as executor:
            executor.submit(job(0, kills_its_process, tmp_path))
            self.drive(executor, recorder, [0])
            assert recorder.resources(0) == [1]
            assert isinstance(recorder.messages[-1], Lost)
            executor.submit(job(0, kills_its_process, tmp_path, attempt=2))
            self.drive(executor, again := Recorder(), [0])
        assert isinstance(again.messages[-1], Finished)


def job(
    trial_id: int, function: Function, path: Path, *, attempt: int = 1, deadline: float | None = None
) -> Job:
    """A job with config ``{"x": 2.0}`` whose folder is ``path/<trial_id>``."""
    return Job(trial_id, attempt, function, {"x": 2.0}, 0, path / str(trial_id), deadline=deadline)


def at_resource(resource: int, decision: Decision) -> Callable[[Reported], Decision]:
    """Answer the report of one resource by `decision`, the others by CONTINUE."""
    return lambda report: decision if report.resource == resource else Decision.CONTINUE


# ---------------------------------------------------------------------- what jobs do


def returns(config: Config, reporter: Any) -> None:
    """Nothing."""


def reports_three(config: Config, reporter: Any) -> None:
    """Report 1/epoch for three epochs."""
    for epoch in reporter.epochs(3):
        reporter(loss=1 / epoch, size=config["x"])


def reports_for_ever(config: Config, reporter: Any) -> None:
    """Report until stopped."""
    while True:
        reporter(loss=1.0)


def raises(config: Config, reporter: Any) -> None:
    """Divide by zero."""
    raise ZeroDivisionError("division by zero")


def exits(config: Config, reporter: Any) -> None:
    """Exit as scripts do."""
    raise SystemExit(3)


def sleeps_for_ever(config: Config, reporter: Any) -> None:
    """Hang."""
    time.sleep(3_600)


def catches_all_errors(config: Config, reporter: Any) -> None:
    """Catch every Exception, for ever."""
    while True:
        try:
            time.sleep(0.01)
        except Exception:
            pass


def saves_and_counts(config: Config, reporter: Any) -> None:
    """Sum epochs up to 4, going on from the last save."""
    total = reporter.load() or 0
    for epoch in reporter.epochs(4):
        total += epoch
        reporter.save(total)
        reporter(sum=total)


def kills_its_process(config: Config, reporter: Any) -> None:
    """Die by SIGKILL after one report, in the first attempt."""
    reporter(loss=1.0)
    if reporter.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
