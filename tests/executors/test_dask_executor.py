from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import autodl as ad
from autodl.errors import OptionError
from autodl.executors.dask_cluster import local_cluster
from autodl.executors.dask_executor import DaskExecutor
from autodl.executors.dask_shipper import Shipper
from autodl.executors.protocol import Decision, Executor, Reported
from autodl.testing.executors import ExecutorContract, Recorder, at_resource, job

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    made = local_cluster(2)
    yield made
    made.close()


class TestDask(ExecutorContract):
    @pytest.fixture(autouse=True)
    def _use(self, cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)  # the contract has jobs with relative folders
        self.cluster = cluster
        cluster.scale(2)
        wait_for_workers(cluster, 2)

    def make(self) -> Executor:
        return DaskExecutor(self.cluster)


def wait_for_workers(cluster: Any, count: int) -> None:
    until = time.monotonic() + 30
    while len(cluster.scheduler.workers) < count:
        assert time.monotonic() < until
        time.sleep(0.05)


def train(args: Any, reporter: Any) -> None:
    total = reporter.load() or 0
    for epoch in reporter.epochs(3):
        total += epoch
        reporter.save(total)
        reporter(loss=args.x + 1 / total)


def test_a_search_on_a_cluster_of_the_users(cluster: Any, tmp_path: Path) -> None:
    wait_for_workers(cluster, 2)
    space = {"x": ad.Real(0, 1)}
    result = ad.tune(
        train,
        space,
        metric="loss",
        searcher="random",
        num_trials=8,
        path=tmp_path / "run",
        executor=DaskExecutor(cluster),
    )
    alone = ad.tune(train, space, metric="loss", searcher="random", num_trials=8)
    assert [t.config for t in result.trials] == [t.config for t in alone.trials]
    assert [t.best.value for t in result.trials] == [t.best.value for t in alone.trials]  # type: ignore[union-attr]
    assert len({trial.worker for trial in result.trials}) == 2


def test_a_worker_that_dies_has_its_trial_repeated(cluster: Any, tmp_path: Path) -> None:
    wait_for_workers(cluster, 2)

    def dies_once(args: Any, reporter: Any) -> None:
        for epoch in reporter.epochs(3):
            reporter.save(epoch)
            reporter(loss=args.x, pid=os.getpid())
            if epoch == 2 and reporter.attempt == 1 and reporter.trial_id in (1, 2):
                os.kill(os.getpid(), signal.SIGKILL)

    result = ad.tune(
        dies_once,
        {"x": ad.Real(0, 1)},
        metric="loss",
        searcher="random",
        num_trials=5,
        path=tmp_path / "run",
        executor=DaskExecutor(cluster),
    )
    assert [trial.state for trial in result.trials] == ["completed"] * 5
    assert [trial.attempt for trial in result.trials] == [1, 2, 2, 1, 1]
    assert [[r.resource for r in trial.reports] for trial in result.trials] == [[1, 2, 3]] * 5


def test_files_travel_where_the_worker_does_not_see_the_run(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_for_workers(cluster, 2)
    monkeypatch.setattr(Shipper, "_probe", lambda self, folder: tmp_path / "not there")
    executor = DaskExecutor(cluster)
    first = Recorder(at_resource(2, Decision.PAUSE))
    with executor:
        executor.submit(job(0, saves, tmp_path / "run"))
        ExecutorContract().drive(executor, first, [0])
        assert (tmp_path / "run" / "0" / "mine.txt").read_text() == "2"
        executor.submit(job(0, saves, tmp_path / "run", attempt=2))
        again = Recorder()
        ExecutorContract().drive(executor, again, [0])
    assert [m.metrics["sum"] for m in again.messages if isinstance(m, Reported)] == [6.0, 10.0]
    assert (tmp_path / "run" / "0" / "mine.txt").read_text() == "4"


def saves(config: Any, reporter: Any) -> None:
    total = reporter.load() or 0
    for epoch in reporter.epochs(4):
        total += epoch
        reporter.save(total)
        (reporter.checkpoint_dir / "mine.txt").write_text(str(epoch))
        reporter(sum=total)


def test_workers_that_leave_and_join_are_counted(cluster: Any) -> None:
    wait_for_workers(cluster, 2)
    with DaskExecutor(cluster) as executor:
        assert executor.num_workers == 2
        cluster.scale(3)
        wait_for_workers(cluster, 3)
        until = time.monotonic() + 10
        while executor.num_workers != 3:
            assert time.monotonic() < until
            executor.poll(Recorder(), 0.05)
        cluster.scale(2)


@pytest.mark.parametrize("bad", [0, -1, True, 1.5, "2"])
def test_refuses_other_than_counts(bad: Any) -> None:
    with pytest.raises(OptionError, match="num_workers must be a whole number"):
        DaskExecutor(num_workers=bad)


def test_refuses_what_is_no_cluster() -> None:
    with pytest.raises(OptionError, match="takes an address"):
        _ = DaskExecutor(14).num_workers
