from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from autodl.errors import OptionError
from autodl.executors.protocol import Decision, Failed, Finished, Lost, Message, Reported
from autodl.executors.simulated import SimulatedExecutor
from autodl.executors.simulated_objectives import FunctionObjective
from autodl.testing.executors import ExecutorContract, Recorder, at_resource, job, returns


def three_epochs(config, epoch: int) -> dict[str, float]:
    """What the contract's jobs report."""
    return {"loss": 1 / epoch, "size": config["x"]}


class TestSimulated(ExecutorContract):
    """As far as it applies: the jobs' functions are not called, the objective is asked."""

    has_processes = False
    test_closures_are_shipped = None
    test_a_job_that_exits_fails_alone = None
    test_job_cannot_swallow_the_cut = None

    def make(self) -> SimulatedExecutor:
        return SimulatedExecutor(FunctionObjective(three_epochs, max_resource=3, seconds=2.0), 2)

    def test_error_is_told_with_its_traceback(self, tmp_path: Path) -> None:
        executor = SimulatedExecutor(FunctionObjective(lambda config, epoch: 1 / 0))
        executor.submit(job(0, returns, tmp_path))
        self.drive(executor, recorder := Recorder(), [0])
        last = recorder.messages[-1]
        assert isinstance(last, Failed)
        assert last.reason == "ZeroDivisionError: division by zero"
        assert "in <lambda>" in last.traceback

    def test_next_attempt_goes_on_from_the_checkpoint(self, tmp_path: Path) -> None:
        with self.make() as executor:
            executor.submit(again(job(0, returns, tmp_path, attempt=2), done=1))
            self.drive(executor, recorder := Recorder(), [0])
            assert recorder.resources(0) == [2, 3]
            executor.submit(again(job(1, returns, tmp_path, attempt=2), done=3))
            self.drive(executor, recorder, [1])
        assert recorder.resources(1) == []  # its driver died between the last report and the end
        assert recorder.messages[-1] == Finished(1, 2, Decision.CONTINUE, "sim-0")

    def test_job_is_cut_at_its_deadline(self, tmp_path: Path) -> None:
        with self.make() as executor:
            executor.submit(job(0, returns, tmp_path, deadline=5.0))
            self.drive(executor, recorder := Recorder(), [0])
            assert executor.clock() == 5.0
        assert recorder.resources(0) == [1, 2]
        assert recorder.messages[-1] == Finished(0, 1, Decision.STOP, "sim-0")


def again(first, *, done: int):
    """The job as its next attempt is submitted."""
    return type(first)(
        first.trial_id,
        first.attempt,
        first.function,
        first.config,
        first.seed,
        first.checkpoint_dir,
        done=done,
    )


def timeline(executor: SimulatedExecutor, jobs, answer=None) -> list[tuple[float, Message]]:
    """Submit as workers become free; every message with its time."""
    found: list[tuple[float, Message]] = []
    recorder = Recorder(answer)
    waiting = list(jobs)
    under_way = 0
    with executor:
        while waiting or under_way:
            while waiting and under_way < executor.num_workers:
                executor.submit(waiting.pop(0))
                under_way += 1
            before = len(recorder.messages)
            executor.poll(recorder, 0.0)
            for message in recorder.messages[before:]:
                found.append((executor.clock(), message))
                under_way -= not isinstance(message, Reported)
    return found


def test_clock_follows_the_durations(tmp_path: Path) -> None:
    objective = FunctionObjective(
        lambda config, epoch: 1.0, max_resource=2, seconds=lambda config, epoch: 10.0 * epoch
    )
    executor = SimulatedExecutor(objective, 2, start_s=3.0, resume_s=1.0)
    jobs = [job(0, returns, tmp_path), job(1, returns, tmp_path), job(2, returns, tmp_path, attempt=2)]
    found = timeline(executor, jobs)
    times = {i: [t for t, m in found if m.trial_id == i and isinstance(m, Reported)] for i in range(3)}
    assert times == {0: [13.0, 33.0], 1: [13.0, 33.0], 2: [44.0, 64.0]}
    assert [m.worker for t, m in found if m.trial_id == 2 and isinstance(m, Reported)] == ["sim-0", "sim-0"]


def test_pause_frees_the_worker_at_once(tmp_path: Path) -> None:
    objective = FunctionObjective(three_epochs, max_resource=3, seconds=2.0)
    found = timeline(
        SimulatedExecutor(objective, 1),
        [job(0, returns, tmp_path), job(1, returns, tmp_path)],
        at_resource(2, Decision.PAUSE),
    )
    ends = [(t, m.decision) for t, m in found if isinstance(m, Finished)]
    assert ends == [(4.0, Decision.PAUSE), (8.0, Decision.PAUSE)]


def test_stragglers_are_slow_for_a_whole_attempt_and_seeded(tmp_path: Path) -> None:
    def durations(seed: int) -> list[float]:
        objective = FunctionObjective(three_epochs, max_resource=3, seconds=1.0)
        executor = SimulatedExecutor(objective, 200, seed=seed, stragglers=0.5)
        found = timeline(executor, [job(i, returns, tmp_path) for i in range(200)])
        times = {i: [t for t, m in found if m.trial_id == i and isinstance(m, Reported)] for i in range(200)}
        for first, second, third in times.values():
            assert second == pytest.approx(2 * first)
            assert third == pytest.approx(3 * first)
        return [times[i][0] for i in range(200)]

    first = sorted(durations(0))
    assert first[100] == pytest.approx(1.0, rel=0.2)  # the median of the lognormal
    assert first[-1] > 2.0
    assert durations(0) == durations(0) != durations(1)


def test_failures_come_at_their_rate_and_again_in_the_next_attempt(tmp_path: Path) -> None:
    objective = FunctionObjective(three_epochs, max_resource=3)
    executor = SimulatedExecutor(objective, 50, failure_rate=0.2, seed=3)
    found = timeline(executor, [job(i, returns, tmp_path) for i in range(500)])
    failed = {m.trial_id for _, m in found if isinstance(m, Failed)}
    assert 70 <= len(failed) <= 130
    reports = [m.resource for _, m in found if isinstance(m, Reported) and m.trial_id in failed]
    assert set(reports) == {1, 2}  # at any epoch, which is then not reported
    second = SimulatedExecutor(objective, 50, failure_rate=0.2, seed=3)
    tried = timeline(second, [job(i, returns, tmp_path, attempt=2) for i in sorted(failed)])
    assert {m.trial_id for _, m in tried if isinstance(m, Failed)} == failed


def test_lost_workers_come_at_their_rate_in_the_middle_of_an_epoch(tmp_path: Path) -> None:
    objective = FunctionObjective(three_epochs, max_resource=1, seconds=10.0)
    executor = SimulatedExecutor(objective, 400, loss_rate=0.25)
    found = timeline(executor, [job(i, returns, tmp_path) for i in range(400)])
    lost = [t for t, m in found if isinstance(m, Lost)]
    assert 70 <= len(lost) <= 130
    assert all(0 < t < 10 for t in lost)


def test_impossible_durations_fail_the_trial(tmp_path: Path) -> None:
    for seconds in (-1.0, float("nan")):
        executor = SimulatedExecutor(FunctionObjective(three_epochs, seconds=seconds))
        ((_, message),) = timeline(executor, [job(0, returns, tmp_path)])
        assert isinstance(message, Failed)
        assert "seconds" in message.reason


def test_no_more_jobs_than_workers(tmp_path: Path) -> None:
    executor = SimulatedExecutor(FunctionObjective(three_epochs), 1)
    executor.submit(job(0, returns, tmp_path))
    with pytest.raises(RuntimeError, match="all 1 workers are busy"):
        executor.submit(job(1, returns, tmp_path))


@pytest.mark.parametrize(
    "options",
    [
        {"num_workers": 0},
        {"num_workers": True},
        {"stragglers": -0.1},
        {"failure_rate": 1.5},
        {"loss_rate": float("nan")},
        {"start_s": float("inf")},
    ],
)
def test_wrong_options_are_refused(options) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        SimulatedExecutor(FunctionObjective(three_epochs), **options)


def test_objective_without_evaluate_is_refused() -> None:
    with pytest.raises(OptionError, match="max_resource and evaluate"):
        SimulatedExecutor(three_epochs)


def test_events_at_one_time_come_in_the_order_of_submission(tmp_path: Path) -> None:
    executor = SimulatedExecutor(FunctionObjective(three_epochs, max_resource=2), 3)
    found = timeline(executor, [job(i, returns, tmp_path) for i in range(3)])
    order = [m.trial_id for _, m in found if isinstance(m, Reported)]
    assert order == list(itertools.chain(range(3), range(3)))
