"""Run jobs in this process, one after the other: the default when one worker is enough."""

from __future__ import annotations

import ctypes
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from autodl.executors.cutoff import Cutoff, TrialInterrupted, can_use_alarm
from autodl.executors.protocol import Decision, Failed, Finished, Job, Message, Reported
from autodl.executors.runner import run_job

GRACE_S = 0.5
"""How long past its deadline a job in a thread of its own may take to end, before it is abandoned."""

Handle = Callable[[Message], Decision]
WORKER = "serial"


class SerialExecutor:
    """Runs each job inside `poll`, in the caller's thread.

    At its deadline a job is cut by a signal. Outside the main thread no signal can do that:
    there a job with a deadline runs in a helper thread, gets an exception, and is abandoned if it
    does not react (a thread cannot be killed).
    """

    num_workers = 1

    def __init__(self) -> None:
        self._jobs: deque[Job] = deque()
        self._stopping: set[int] = set()

    def submit(self, job: Job) -> None:
        """Take a job; it runs in the next `poll`."""
        self._jobs.append(job)

    def poll(self, handle: Handle, timeout_s: float) -> None:
        """Run one job from start to end; its messages go to `handle` on the way."""
        if not self._jobs:
            return
        job = self._jobs.popleft()
        errors: list[BaseException] = []  # the driver's own, which are not the job's to catch

        def ask(resource: int, metrics: dict[str, float]) -> Decision:
            try:
                decision = handle(Reported(job.trial_id, job.attempt, resource, metrics, WORKER))
            except BaseException as error:
                errors.append(error)
            past = job.deadline is not None and time.time() >= job.deadline
            return Decision.STOP if errors or past or job.trial_id in self._stopping else decision

        if job.deadline is None or can_use_alarm():
            message: Message = run_job(job, ask, worker=WORKER, cutoff=Cutoff(job.deadline))
        else:
            message = _ThreadedJob(job, ask).run()
        self._stopping.discard(job.trial_id)
        if errors:
            raise errors[0]
        handle(message)

    def stop(self, trial_id: int) -> None:
        """End the job at its next report."""
        self._stopping.add(trial_id)

    def shutdown(self, *, kill: bool = False) -> None:
        """Drop jobs that did not start."""
        self._jobs.clear()
        self._stopping.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.shutdown(kill=True)


class _ThreadedJob:
    """One job in a helper thread that the caller waits for, until the deadline."""

    def __init__(self, job: Job, ask: Callable[[int, dict[str, float]], Decision]) -> None:
        self._job = job
        self._driver = ask
        self._lock = threading.Lock()  # held while the driver's code runs
        self._abandoned = False
        self._message: Finished | Failed | None = None

    def run(self) -> Finished | Failed:
        thread = threading.Thread(target=self._target, name=f"trial-{self._job.trial_id}", daemon=True)
        thread.start()
        deadline = self._job.deadline
        assert deadline is not None
        thread.join(max(0.0, deadline - time.time()))
        if thread.is_alive():
            with self._lock:  # not while the thread is in the driver's code
                interrupt_thread(thread)
            thread.join(GRACE_S)
        with self._lock:
            self._abandoned = True
            return self._message or Finished(self._job.trial_id, self._job.attempt, Decision.STOP, WORKER)

    def _target(self) -> None:
        try:
            self._message = run_job(self._job, self._ask, worker=WORKER)
        except BaseException:  # the late exception may fall outside the job's code
            self._message = None

    def _ask(self, resource: int, metrics: dict[str, float]) -> Decision:
        with self._lock:
            if self._abandoned:
                raise TrialInterrupted
            return self._driver(resource, metrics)


def interrupt_thread(thread: threading.Thread) -> None:
    """Raise `TrialInterrupted` in a thread, at its next step in Python."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident or 0), ctypes.py_object(TrialInterrupted)
    )
