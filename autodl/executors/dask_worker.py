"""The worker's side of `DaskExecutor`: one Dask task runs one attempt of a trial.

Reports and ends travel as events over the connections that Dask keeps anyway, so that what the
cluster encrypts is encrypted. Answers come back by `deliver`, which the driver runs on the worker.
"""

from __future__ import annotations

import os
import queue
import shutil
import signal
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from autodl.executors.cutoff import TrialInterrupted
from autodl.executors.dask_files import pack, signature, unpack
from autodl.executors.protocol import Decision, Failed, Finished, Job, Lost, Reported
from autodl.executors.runner import run_job
from autodl.executors.serial import interrupt_thread
from autodl.threads import set_threads

GRACE_S = 0.5
"""How long past its deadline a trial may take to end, before it is abandoned."""

ANSWER_S = 600.0
"""How long a report waits for its answer: a driver that computes a proposal may take minutes."""

ABANDONED = "abandoned"
"""Stands for the worker's name in the end of a trial that did not react to its cut."""

MAX_FUNCTIONS = 4
"""Training functions kept by a worker: several searches may share a cluster."""

DEVICES = "CUDA_VISIBLE_DEVICES"

# Process-wide, as the Dask worker is: the attempts that run here, and what they need.
_INBOXES: dict[str, queue.SimpleQueue[str]] = {}
_FOLDERS: dict[str, Folder] = {}
_PICKLES: dict[str, bytes] = {}
_FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {}


@dataclass(slots=True)
class Folder:
    """A trial's place on a worker that does not see the run's directory.

    Attributes:
        path: the place.
        sent: `signature` of what the driver has.
    """

    path: Path
    sent: tuple[tuple[str, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Shipment:
    """What a Dask task is given.

    Attributes:
        key: names this attempt of this run, everywhere.
        topic: of the events that go to the driver.
        job: its function is left out.
        token: names the function, which came before by `keep_function`.
        probe: a file that the driver wrote; a worker that sees it shares the run's directory.
        files: the trial's files, packed, for a worker that does not.
        device: what CUDA_VISIBLE_DEVICES is set to; None: it is left alone.
    """

    key: str
    topic: str
    job: Job
    token: str
    probe: str
    files: bytes | None
    device: str | None


def run_shipment(shipment: Shipment) -> None:
    """Run an attempt from start to end and tell the driver of it; the Dask task."""
    from distributed import get_worker  # noqa: PLC0415  # Dask is there: it called us

    worker, run = get_worker(), uuid.uuid4().hex

    def tell(kind: str, message: Reported | Finished | Failed | Lost) -> None:
        told = asdict(message) | {"kind": kind, "key": shipment.key, "run": run}
        if isinstance(message, Finished):
            told["decision"] = message.decision.value
        told["files"] = shipment.key in _FOLDERS
        worker.log_event(shipment.topic, told)

    if shipment.token not in _PICKLES:
        job = shipment.job
        tell("lost", Lost(job.trial_id, job.attempt, "another process has taken the worker's place"))
        return
    _INBOXES[shipment.key] = queue.SimpleQueue()
    try:
        message = _Attempt(shipment, str(worker.address), tell).run()
        tell("failed" if isinstance(message, Failed) else "finished", message)
    finally:
        _INBOXES.pop(shipment.key, None)


def keep_function(token: str, function: bytes) -> None:
    """Take a pickled function for the trials to come; run on the worker by the driver."""
    _PICKLES[token] = function
    while len(_PICKLES) > MAX_FUNCTIONS:
        oldest = next(iter(_PICKLES))
        del _PICKLES[oldest]
        _FUNCTIONS.pop(oldest, None)


def deliver(key: str, decision: str) -> None:
    """Answer a report that waits here; run on the worker by the driver."""
    inbox = _INBOXES.get(key)
    if inbox is not None:
        inbox.put(decision)


def collect(key: str, is_last: bool) -> bytes | None:
    """The files of a trial that this worker keeps in a place of its own, packed; run by the driver.

    Args:
        key: of the attempt.
        is_last: the attempt is over, and the place can go.

    Returns:
        None if nothing has changed since the last call.
    """
    folder = _FOLDERS.get(key)
    if folder is None:
        return None
    now = signature(folder.path)
    packed = pack(folder.path) if now != folder.sent else None
    folder.sent = now
    if is_last:
        del _FOLDERS[key]
        shutil.rmtree(folder.path, ignore_errors=True)
    return packed


def kill_worker(dask_worker: Any) -> None:
    """Kill a worker's process, and with it a trial that cannot be stopped; its nanny starts another.

    Args:
        dask_worker: the nanny, in which this runs; filled in by Dask.
    """
    process = getattr(dask_worker, "process", None)
    pid = None if process is None else process.pid
    if pid is not None:
        os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))


class _Attempt:
    """One attempt in a thread of its own, so that a deadline can cut it and a hung one can be left."""

    def __init__(self, shipment: Shipment, name: str, tell: Callable[[str, Reported], None]) -> None:
        self._shipment, self._name, self._tell = shipment, name, tell
        self._job = replace(shipment.job, function=self._call, checkpoint_dir=self._folder())
        self._message: Finished | Failed | None = None

    def run(self) -> Finished | Failed:
        thread = threading.Thread(target=self._target, name=f"trial-{self._job.trial_id}", daemon=True)
        thread.start()
        deadline = self._job.deadline
        thread.join(None if deadline is None else max(0.0, deadline - time.time()))
        until = time.time() + GRACE_S
        while thread.is_alive() and time.time() < until:
            interrupt_thread(thread)
            thread.join(GRACE_S / 4)
        return self._message or Finished(self._job.trial_id, self._job.attempt, Decision.STOP, ABANDONED)

    def _target(self) -> None:
        try:
            self._message = run_job(self._job, self._ask, worker=self._name)
        except BaseException as error:  # KeyboardInterrupt of the job itself, or the late cut
            if not isinstance(error, TrialInterrupted):
                text = repr(error)
                self._message = Failed(self._job.trial_id, self._job.attempt, text, text, self._name)

    def _folder(self) -> Path:
        """Where the trial writes: the run's directory if it is seen here, else a place of its own."""
        shipment = self._shipment
        if Path(shipment.probe).exists():
            return shipment.job.checkpoint_dir
        folder = Path(tempfile.mkdtemp(prefix="autodl-trial-"))
        if shipment.files is not None:
            unpack(shipment.files, folder)
        _FOLDERS[shipment.key] = Folder(folder, signature(folder))
        return folder

    def _call(self, config: Any, reporter: Any) -> Any:
        # Unpickled inside the job: an error in the user's imports is the trial's failure.
        shipment = self._shipment
        if shipment.device is not None:
            _use_devices(shipment.device)
        set_threads(self._job.threads)
        if shipment.token not in _FUNCTIONS:
            import cloudpickle  # noqa: PLC0415  # only workers need it

            _FUNCTIONS[shipment.token] = cloudpickle.loads(_PICKLES[shipment.token])
        return _FUNCTIONS[shipment.token](config, reporter)

    def _ask(self, resource: int, metrics: dict[str, float]) -> Decision:
        job = self._job
        self._tell("reported", Reported(job.trial_id, job.attempt, resource, metrics, self._name))
        return _answer(_INBOXES.get(self._shipment.key))


def _use_devices(devices: str) -> None:
    """Let this process see these GPUs; what the user or a tool such as dask-cuda chose stays."""
    mark = f"AUTODL_{DEVICES}"
    if DEVICES not in os.environ or os.environ.get(mark) == os.environ[DEVICES]:
        os.environ[DEVICES] = os.environ[mark] = devices


def _answer(inbox: queue.SimpleQueue[str] | None) -> Decision:
    """The driver's decision; STOP if none comes, because the driver is gone."""
    until = time.monotonic() + ANSWER_S
    while inbox is not None and time.monotonic() < until:
        try:
            return Decision(inbox.get(timeout=0.2))  # short, so that a cut finds the thread in Python
        except queue.Empty:
            continue
    return Decision.STOP
