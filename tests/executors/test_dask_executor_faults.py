"""Faults of a cluster, injected: hung workers, lost hosts, a scheduler that goes and comes back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import autodl as ad
from autodl.errors import WorkerLostError
from autodl.executors.dask_cluster import local_cluster
from autodl.executors.dask_executor import DaskExecutor
from autodl.executors.protocol import Decision, Lost, Reported
from autodl.testing.executors import ExecutorContract, Recorder, job

SPACE = {"x": ad.Real(0, 1)}


def train(args: Any, reporter: Any) -> None:
    """Sum of the epochs: what was lost or done twice shows."""
    total = reporter.load() or 0
    for epoch in reporter.epochs(4):
        time.sleep(args.pause)
        total += epoch
        reporter.save(total)
        reporter(loss=args.x + 1 / total, total=total, pid=os.getpid())


def check_nothing_lost(result: ad.TuneResult, num_trials: int) -> None:
    assert [trial.state for trial in result.trials] == ["completed"] * num_trials
    for trial in result.trials:
        assert [report.resource for report in trial.reports] == [1, 2, 3, 4]
        assert [report.metrics["total"] for report in trial.reports] == [1, 3, 6, 10]


# ---------------------------------------------------------------------- a cluster of this process


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    made = local_cluster(2)
    yield made
    made.close()


def test_a_stopped_worker_is_given_up_and_killed_at_the_end(cluster: Any, tmp_path: Path) -> None:
    def stops(config: Any, reporter: Any) -> None:
        reporter(pid=os.getpid())
        if reporter.attempt == 1:
            os.kill(os.getpid(), signal.SIGSTOP)

    recorder = Recorder()
    with DaskExecutor(cluster, heartbeat_timeout_s=2.0) as executor:
        executor.submit(job(0, stops, tmp_path))
        started = time.monotonic()
        ExecutorContract().drive(executor, recorder, [0])
        assert time.monotonic() - started < 15
        assert isinstance(recorder.messages[-1], Lost)
        executor.submit(job(0, stops, tmp_path, attempt=2))  # by the other worker
        again = Recorder()
        ExecutorContract().drive(executor, again, [0])
    first, second = (m.messages[0] for m in (recorder, again))
    assert isinstance(first, Reported)
    assert isinstance(second, Reported)
    assert first.metrics["pid"] != second.metrics["pid"]
    until = time.monotonic() + 15
    while is_there(int(first.metrics["pid"])):
        assert time.monotonic() < until, "the stopped process was left behind"
        time.sleep(0.05)


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_an_attempt_that_dask_starts_again_is_refused(cluster: Any, tmp_path: Path) -> None:
    answers: list[Decision] = []

    def waits(config: Any, reporter: Any) -> None:
        for _ in range(100):
            reporter(loss=1.0)
            time.sleep(0.05)

    def answer(report: Reported) -> Decision:
        if report.resource == 2:  # from here on, as if another start of the same task told its reports
            (running,) = executor._running.values()
            running.run = "another start"
        answers.append(Decision.CONTINUE)
        return Decision.CONTINUE

    recorder = Recorder(answer)
    with DaskExecutor(cluster) as executor:
        executor.submit(job(0, waits, tmp_path))
        ExecutorContract().drive(executor, recorder, [0])
    assert recorder.resources(0) == [1, 2]
    last = recorder.messages[-1]
    assert isinstance(last, Lost)
    assert "repeated" in last.reason


def test_each_worker_has_a_gpu_of_its_own_and_two_halves_share_it(tmp_path: Path) -> None:
    from distributed import LocalCluster

    def look(config: Any, reporter: Any) -> None:
        reporter(gpu=float(os.environ["CUDA_VISIBLE_DEVICES"]), pid=os.getpid())
        time.sleep(0.5)

    with LocalCluster(
        n_workers=2, threads_per_worker=2, resources={"GPU": 1}, dashboard_address="127.0.0.1:0"
    ) as made:
        recorder = Recorder()
        with DaskExecutor(made, resources={"GPU": 0.5}) as executor:
            assert executor.num_workers == 4
            for trial_id in range(4):
                executor.submit(job(trial_id, look, tmp_path))
            ExecutorContract().drive(executor, recorder, range(4))
    seen = [(m.metrics["pid"], m.metrics["gpu"]) for m in recorder.messages if isinstance(m, Reported)]
    assert len(seen) == 4
    assert len(set(seen)) == 2
    assert sorted(gpu for _, gpu in set(seen)) == [0.0, 1.0]


def test_a_scheduler_that_never_answers_is_a_clear_error() -> None:
    executor = DaskExecutor(f"tcp://127.0.0.1:{free_port()}", wait_s=1.0)
    with pytest.raises(WorkerLostError, match="no Dask scheduler at tcp://127"):
        _ = executor.num_workers


# ---------------------------------------------------------------------- processes of their own


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Processes:
    """A scheduler and workers as they are started on several machines."""

    def __init__(self, folder: Path, *options: str, scheme: str = "tcp") -> None:
        self.folder, self.options = folder, options
        self.port = free_port()
        self.address = f"{scheme}://127.0.0.1:{self.port}"
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        environment = os.environ | {"DASK_TEMPORARY_DIRECTORY": str(self.folder), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "dask", *arguments, *self.options]
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.started.append(process)
        return process

    def scheduler(self) -> subprocess.Popen[bytes]:
        return self.start(
            "scheduler", "--host", self.address.rpartition(":")[0], "--port", str(self.port), "--no-dashboard"
        )

    def worker(self, host: str) -> subprocess.Popen[bytes]:
        listen = f"{self.address.partition(':')[0]}://{host}"
        return self.start(
            "worker",
            self.address,
            "--host",
            listen,
            "--nthreads",
            "1",
            "--no-dashboard",
            "--death-timeout",
            "60",
        )

    def end(self) -> None:
        for process in self.started:
            process.terminate()
        for process in self.started:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    made = Processes(tmp_path)
    yield made
    made.end()


class OnReport:
    """Does something once, at the n-th report of the run."""

    def __init__(self, count: int, action: Any) -> None:
        self.left, self.action = count, action

    def on_report(self, trial: Any, report: Any) -> None:
        self.left -= 1
        if self.left == 0:
            self.action(trial, report)


@pytest.mark.slow
def test_a_host_that_dies_in_the_middle_costs_no_trial(processes: Processes, tmp_path: Path) -> None:
    processes.scheduler()
    hosts = {host: processes.worker(host) for host in ("127.0.0.2", "127.0.0.3")}
    killed = []

    def kill_host(trial: Any, report: Any) -> None:
        host = trial.worker.partition("://")[2].partition(":")[0]
        killed.append(host)
        hosts[host].kill()  # the nanny, which would start another worker ...
        os.kill(int(report.metrics["pid"]), signal.SIGKILL)  # ... and the worker

    result = ad.tune(
        train,
        SPACE | {"pause": ad.Categorical(0.1)},
        metric="loss",
        searcher="random",
        num_trials=16,
        executor=DaskExecutor(processes.address),
        callbacks=[OnReport(20, kill_host)],
        path=tmp_path / "run",
    )
    check_nothing_lost(result, 16)
    assert {t.worker.partition("://")[2].partition(":")[0] for t in result.trials} == set(hosts)
    (dead,) = killed
    assert all(dead not in trial.worker for trial in result.trials[-4:])


@pytest.mark.slow
def test_a_scheduler_that_is_lost_and_comes_back_costs_no_trial(processes: Processes, tmp_path: Path) -> None:
    scheduler = processes.scheduler()
    workers = [processes.worker("127.0.0.2")]

    def restart(trial: Any, report: Any) -> None:
        for process in (scheduler, *workers):
            process.kill()
        os.kill(int(report.metrics["pid"]), signal.SIGKILL)
        processes.scheduler()
        processes.worker("127.0.0.2")

    result = ad.tune(
        train,
        SPACE | {"pause": ad.Categorical(0.05)},
        metric="loss",
        searcher="random",
        num_trials=6,
        executor=DaskExecutor(processes.address),
        callbacks=[OnReport(6, restart)],
        path=tmp_path / "run",
    )
    check_nothing_lost(result, 6)
    assert max(trial.attempt for trial in result.trials) == 2


@pytest.mark.slow
def test_a_scheduler_lost_for_good_ends_the_run_and_resume_goes_on(
    processes: Processes, tmp_path: Path
) -> None:
    scheduler = processes.scheduler()
    worker = processes.worker("127.0.0.2")

    def end(trial: Any, report: Any) -> None:
        scheduler.kill()
        worker.kill()
        os.kill(int(report.metrics["pid"]), signal.SIGKILL)

    options: dict[str, Any] = {
        "metric": "loss",
        "searcher": "random",
        "num_trials": 6,
        "path": tmp_path / "run",
    }
    space = SPACE | {"pause": ad.Categorical(0.05)}
    with pytest.warns(RuntimeWarning, match="the run ended early"):
        result = ad.tune(
            train,
            space,
            executor=DaskExecutor(processes.address, wait_s=10.0),
            callbacks=[OnReport(10, end)],
            **options,
        )
    assert result.stopped_by == "workers_lost"
    assert result.best_trial.trial_id in (0, 1, 2)
    processes.scheduler()
    processes.worker("127.0.0.3")
    resumed = ad.tune(train, space, executor=DaskExecutor(processes.address), resume=True, **options)
    check_nothing_lost(resumed, 6)
    alone = ad.tune(train, space, **{**options, "path": None})
    assert [trial.config for trial in resumed.trials] == [trial.config for trial in alone.trials]


@pytest.mark.slow
def test_a_cluster_with_tls(tmp_path: Path) -> None:
    from distributed import Security

    pytest.importorskip("cryptography")
    security = Security.temporary()
    files = {}
    for name in ("tls_ca_file", "tls_client_cert", "tls_client_key"):
        files[name] = tmp_path / f"{name}.pem"
        files[name].write_text(getattr(security, name))
    options = ["--tls-ca-file", "--tls-cert", "--tls-key"]
    arguments = [word for pair in zip(options, map(str, files.values()), strict=True) for word in pair]
    processes = Processes(tmp_path, *arguments, scheme="tls")
    try:
        processes.scheduler()
        processes.worker("127.0.0.2")
        result = ad.tune(
            train,
            SPACE | {"pause": ad.Categorical(0.0)},
            metric="loss",
            searcher="random",
            num_trials=3,
            executor=DaskExecutor(processes.address, security=security),
        )
        check_nothing_lost(result, 3)
        assert result.trials[0].worker.startswith("tls://")
    finally:
        processes.end()
