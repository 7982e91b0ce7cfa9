from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from autodl.errors import OptionError
from autodl.executors.joblib_pool import JoblibExecutor
from autodl.executors.protocol import Decision, Failed, Finished, Lost, Reported
from autodl.testing.executors import ExecutorContract, Recorder, job, reports_three


class TestJoblib(ExecutorContract):
    def make(self) -> JoblibExecutor:
        return JoblibExecutor(2)


def drive(executor: JoblibExecutor, recorder: Recorder, ids: list[int]) -> None:
    ExecutorContract().drive(executor, recorder, ids)


@pytest.mark.parametrize("bad", [0, -1, True, 1.5, "2"])
def test_refuses_other_than_counts(bad) -> None:
    with pytest.raises(OptionError, match="num_workers must be a whole number"):
        JoblibExecutor(bad)


def test_a_killed_worker_takes_nobody_with_it(tmp_path: Path) -> None:
    def waits(config, reporter) -> None:
        reporter(pid=os.getpid())
        time.sleep(0.5)
        reporter(pid=os.getpid())

    pids: dict[int, int] = {}

    def answer(report: Reported) -> Decision:
        if report.trial_id not in pids:
            pids[report.trial_id] = int(report.metrics["pid"])
            if len(pids) == 2:
                os.kill(pids[0], signal.SIGKILL)
        return Decision.CONTINUE

    recorder = Recorder(answer)
    with JoblibExecutor(2) as executor:
        executor.submit(job(0, waits, tmp_path))
        executor.submit(job(1, waits, tmp_path))
        drive(executor, recorder, [0, 1])
    lost = recorder.of(0)[-1]
    assert isinstance(lost, Lost)
    assert "SIGKILL" in lost.reason
    assert isinstance(recorder.of(1)[-1], Finished)
    assert recorder.resources(1) == [1, 2]


def test_what_a_worker_said_before_it_died_counts(tmp_path: Path) -> None:
    def dies_after_its_end(config, reporter) -> None:
        reporter(loss=1.0)
        pid = os.getpid()
        kill = f"import os, time; time.sleep(0.2); os.kill({pid}, 9)"
        subprocess.Popen([sys.executable, "-c", kill])

    recorder = Recorder()
    with JoblibExecutor(1) as executor:
        executor.submit(job(0, dies_after_its_end, tmp_path))
        while not recorder.messages:
            executor.poll(recorder, 0.1)
        time.sleep(0.8)  # by now it has ended its job and died
        drive(executor, recorder, [0])
        assert isinstance(recorder.messages[-1], Finished)
        executor.submit(job(1, reports_three, tmp_path))
        drive(executor, recorder, [1])
    assert recorder.resources(1) == [1, 2, 3]


def test_a_job_deaf_to_the_cut_is_killed(tmp_path: Path) -> None:
    def deaf(config, reporter) -> None:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        reporter(pid=os.getpid())
        time.sleep(60)

    recorder = Recorder()
    with JoblibExecutor(1) as executor:
        executor.submit(job(0, reports_three, tmp_path))
        drive(executor, Recorder(), [0])
        executor.submit(job(0, deaf, tmp_path, deadline=time.time() + 0.3))
        started = time.monotonic()
        drive(executor, recorder, [0])
        assert time.monotonic() - started < 2.5
        assert isinstance(recorder.messages[-1], Finished)
        assert recorder.messages[-1].decision is Decision.STOP
        pid = int(recorder.messages[0].metrics["pid"])
        assert is_gone(pid)
        executor.submit(job(1, reports_three, tmp_path))
        drive(executor, recorder, [1])
    assert recorder.resources(1) == [1, 2, 3]


def test_what_cannot_be_unpickled_fails_the_trial_and_not_the_worker(tmp_path: Path) -> None:
    recorder = Recorder()
    with JoblibExecutor(1) as executor:
        executor.submit(job(0, Unloadable(), tmp_path))
        drive(executor, recorder, [0])
        executor.submit(job(1, reports_three, tmp_path))
        drive(executor, recorder, [1])
    assert isinstance(recorder.of(0)[-1], Failed)
    assert "not here" in recorder.of(0)[-1].reason
    assert recorder.resources(1) == [1, 2, 3]


def test_what_cannot_be_pickled_is_refused_with_the_way_out(tmp_path: Path) -> None:
    lock = threading.Lock()
    with JoblibExecutor(1) as executor, pytest.raises(OptionError, match=r"lock.*use one worker"):
        executor.submit(job(0, lambda config, reporter: lock, tmp_path))


class Unloadable:
    def __call__(self, config, reporter) -> None: ...

    def __reduce__(self):
        return fail_to_load, ()


def fail_to_load() -> None:
    raise ImportError("not here")


def test_threads_are_divided_among_workers(tmp_path: Path) -> None:
    def says(config, reporter) -> None:
        passive = os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
        reporter(threads=int(os.environ["OMP_NUM_THREADS"]), passive=passive)

    recorder = Recorder()
    with JoblibExecutor(1, threads_per_worker=3) as executor:
        executor.submit(job(0, says, tmp_path))
        drive(executor, recorder, [0])
    assert recorder.messages[0].metrics == {"threads": 3.0, "passive": 1.0}


def test_an_outer_with_keeps_the_workers_warm(tmp_path: Path) -> None:
    def pid(config, reporter) -> None:
        reporter(pid=os.getpid())

    pids = []
    with JoblibExecutor(1) as executor:
        for trial_id in (0, 1):
            with executor:
                recorder = Recorder()
                executor.submit(job(trial_id, pid, tmp_path))
                drive(executor, recorder, [trial_id])
                pids.append(recorder.messages[0].metrics["pid"])
    assert pids[0] == pids[1]
    assert is_gone(int(pids[0]))


DRIVER = """
import sys, time
from pathlib import Path
from autodl.executors.joblib_pool import JoblibExecutor
from autodl.testing.executors import Recorder, job

def hangs(config, reporter):
    import os
    reporter(pid=os.getpid())
    time.sleep(600)

def answer(report):
    sys.stdout.write(f"{int(report.metrics['pid'])}\\n")
    sys.stdout.flush()
    from autodl.executors.protocol import Decision
    return Decision.CONTINUE

executor = JoblibExecutor(1)
executor.submit(job(0, hangs, Path("unused")))
while True:
    executor.poll(Recorder(answer), 0.2)
"""


def test_workers_end_with_the_driver() -> None:
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER], cwd=root, stdout=subprocess.PIPE, text=True
    ) as driver:
        assert driver.stdout is not None
        worker = int(driver.stdout.readline())
        driver.kill()
        driver.wait()
        assert is_gone(worker)


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
