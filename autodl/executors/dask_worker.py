"""The worker's side of `DaskExecutor`: one Dask task runs one attempt of a trial.

Reports and ends travel as events over the connections that Dask keeps anyway, so that what the
cluster encrypts is encrypted. Answers come back by `deliver`, which the driver runs on the worker.
"""

from __future__ import annotations

import io
import os
import queue
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from autodl.executors.cutoff import TrialInterrupted
from autodl.executors.joblib_worker import set_threads
from autodl.executors.protocol import Decision, Failed, Finished, Job, Reported
from autodl.executors.runner import run_job
from autodl.executors.serial import interrupt_thread

GRACE_S = 0.5
"""How long past its deadline a trial may take to end, before it is abandoned."""

ANSWER_S = 600.0
"""How long a report waits for its answer: a driver that computes a proposal may take minutes."""

# Process-wide, as the Dask worker is: the attempts that run here, and the last function unpickled.
_INBOXES: dict[str, queue.SimpleQueue[str]] = {}
_FOLDERS: dict[str, Path] = {}
_FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {}


@dataclass(frozen=True, slots=True)
class Shipment:
    """What a Dask task is given.

    Attributes:
        key: names this attempt of this run, everywhere.
        topic: of the events that go to the driver.
        job: its function is left out.
        token: names the function.
        function: its pickle.
        probe: a file that the driver wrote; a worker that sees it shares the run's directory.
        files: the trial's files, packed, for a worker that does not.
        device: what CUDA_VISIBLE_DEVICES is set to; None: it is left alone.
    """

    key: str
    topic: str
    job: Job
    token: str
    function: bytes
    probe: str
    files: bytes | None
    device: int | None


def run_shipment(shipment: Shipment) -> None:
    """Run an attempt from start to end and tell the driver of it; the Dask task."""
    from distributed import get_worker  # noqa: PLC0415  # Dask is there: it called us

    worker = get_worker()
    _INBOXES[shipment.key] = queue.SimpleQueue()
    try:
        message = _Attempt(shipment, worker).run()
        told = asdict(message)
        if isinstance(message, Finished):
            told["decision"] = message.decision.value
        kind = "failed" if isinstance(message, Failed) else "finished"
        worker.log_event(
            shipment.topic, {"kind": kind, "key": shipment.key, "files": shipment.key in _FOLDERS, **told}
        )
    finally:
        _INBOXES.pop(shipment.key, None)


def deliver(key: str, decision: str) -> None:
    """Answer a report that waits here; run on the worker by the driver."""
    inbox = _INBOXES.get(key)
    if inbox is not None:
        inbox.put(decision)


def collect(key: str) -> bytes | None:
    """The files of a trial that this worker keeps in a place of its own, packed; run by the driver."""
    folder = _FOLDERS.get(key)
    return None if folder is None else pack(folder)


def end_process(dask_worker: Any) -> None:
    """End this worker's process, and with it a trial that cannot be stopped; its nanny starts another.

    A nanny that is asked waits four seconds for the hung thread first. A worker without a nanny
    stays: nothing would bring it back.

    Args:
        dask_worker: filled in by Dask.
    """
    if dask_worker.nanny is not None:
        threading.Timer(0.05, os._exit, (0,)).start()  # after the answer to this call


def pack(folder: Path) -> bytes | None:
    """The files of a folder as a tar archive; None if it has none."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()] if folder.is_dir() else []
    if not files:
        return None
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in files:
            archive.add(path, arcname=str(path.relative_to(folder)))
    return buffer.getvalue()


def unpack(packed: bytes, folder: Path) -> None:
    """Make a folder hold the packed files and no others; each is replaced as a whole."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(place, filter="data")
        came = {path.relative_to(place) for path in Path(place).rglob("*") if path.is_file()}
        for path in sorted(came):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (Path(place) / path).replace(folder / path)
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        if path.relative_to(folder) not in came:
            path.unlink()


class _Attempt:
    """One attempt in a thread of its own, so that a deadline can cut it and a hung one can be left."""

    def __init__(self, shipment: Shipment, worker: Any) -> None:
        self._shipment, self._worker = shipment, worker
        self._name = str(worker.address)
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
        return self._message or Finished(self._job.trial_id, self._job.attempt, Decision.STOP, "abandoned")

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
        folder = Path(tempfile.gettempdir()) / "autodl-trials" / shipment.topic / str(shipment.job.trial_id)
        folder.mkdir(parents=True, exist_ok=True)
        if shipment.files is not None:
            unpack(shipment.files, folder)
        _FOLDERS[shipment.key] = folder
        return folder

    def _call(self, config: Any, reporter: Any) -> Any:
        # Unpickled inside the job: an error in the user's imports is the trial's failure.
        shipment = self._shipment
        if shipment.device is not None:
            os.environ.setdefault("CUDA_VISIBLE_DEVICES", str(shipment.device))
        set_threads(self._job.threads)
        if shipment.token not in _FUNCTIONS:
            import cloudpickle  # noqa: PLC0415  # only workers need it

            _FUNCTIONS.clear()
            _FUNCTIONS[shipment.token] = cloudpickle.loads(shipment.function)
        return _FUNCTIONS[shipment.token](config, reporter)

    def _ask(self, resource: int, metrics: dict[str, float]) -> Decision:
        key, job = self._shipment.key, self._job
        message = Reported(job.trial_id, job.attempt, resource, metrics, self._name)
        self._worker.log_event(
            self._shipment.topic,
            {"kind": "reported", "key": key, "files": key in _FOLDERS, **asdict(message)},
        )
        return _answer(_INBOXES.get(key))


def _answer(inbox: queue.SimpleQueue[str] | None) -> Decision:
    """The driver's decision; STOP if none comes, because the driver is gone."""
    until = time.monotonic() + ANSWER_S
    while inbox is not None and time.monotonic() < until:
        try:
            return Decision(inbox.get(timeout=0.2))  # short, so that a cut finds the thread in Python
        except queue.Empty:
            continue
    return Decision.STOP
