"""Run jobs in processes of their own, on this machine (joblib's loky).

Each slot is a loky pool of one process, so that a killed worker takes nobody with it. loky starts
the process and ships the code (also what is defined in ``__main__``); jobs, reports and answers
then go over one connection a worker, which costs a tenth of a pool's task.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from autodl.checks import check_whole
from autodl.errors import OptionError
from autodl.executors.functions import PickledFunctions
from autodl.executors.joblib_hub import Hub
from autodl.executors.joblib_slot import KILL_GRACE_S, Slot
from autodl.executors.protocol import Decision, Finished, Job, Lost, Message, Reported
from autodl.threads import cpu_threads

Handle = Callable[[Message], Decision]


class JoblibExecutor:
    """Worker processes, started when the first jobs come, all at the same time.

    Args:
        num_workers: how many jobs run at once; None: as many as there are CPUs for this process.
        threads_per_worker: CPU threads a worker's libraries use; None: the CPUs divided among workers.
        heartbeat_timeout_s: a worker whose Python interpreter gives no sign of life for so many
            seconds is killed, and its trial starts again from its checkpoint: a stopped process, or
            a C call that hangs and holds the interpreter's lock. Long Python code, sleeps and calls
            that release the lock are no silence. None: no such check.
        max_worker_rss_mb: a worker whose resident memory is above so many MB (10^6 bytes) after a
            trial is replaced before its next one, so that leaks do not add up. None: no limit.

    Raises:
        OptionError: a count is not a whole number >= 1, or a limit not a number > 0.

    Example::

        ad.tune(train, metric="accuracy", num_trials=100, executor=ad.JoblibExecutor(4))
    """

    def __init__(
        self,
        num_workers: int | None = None,
        threads_per_worker: int | None = None,
        *,
        heartbeat_timeout_s: float | None = 120.0,
        max_worker_rss_mb: float | None = None,
    ) -> None:
        for name, value in (("num_workers", num_workers), ("threads_per_worker", threads_per_worker)):
            if value is not None:
                check_whole(name, value)
        check_limit("heartbeat_timeout_s", heartbeat_timeout_s)
        check_limit("max_worker_rss_mb", max_worker_rss_mb)
        self.num_workers = cpu_threads() if num_workers is None else num_workers
        self.threads_per_worker = threads_per_worker or cpu_threads(self.num_workers)
        self._max_rss_mb = max_worker_rss_mb
        self._slots = [Slot(index, heartbeat_timeout_s) for index in range(self.num_workers)]
        self._looked = 0.0
        self._hub: Hub | None = None
        self._functions = PickledFunctions()
        self._depth = 0

    # ------------------------------------------------------------------ Executor

    def submit(self, job: Job) -> None:
        """Give the job to a free worker, warm ones first; starts one if need be.

        Raises:
            RuntimeError: no worker is free.
        """
        free = [slot for slot in self._slots if slot.job is None]
        if not free:
            raise RuntimeError(f"all {self.num_workers} workers are busy")
        slot = next((slot for slot in free if slot.connection is not None), free[0])
        if self._hub is None:
            self._hub = Hub()
        if slot.pool is None:
            slot.start(self._hub, self.threads_per_worker)
        slot.assign(job, *self._functions.pickled(job.function))

    def poll(self, handle: Handle, timeout_s: float) -> None:
        """Hand over what came, waiting up to `timeout_s` for the first message."""
        hub = self._hub
        if hub is None:
            return
        self._looked = time.monotonic()  # what the driver did since the last poll is no silence
        until = self._looked + timeout_s
        while True:
            found = self._collect(hub, handle, max(0.0, until - time.monotonic()))
            if found or time.monotonic() >= until:
                return

    def stop(self, trial_id: int) -> None:
        """End a running job at its next report; at once if it is past its deadline."""
        for slot in self._slots:
            if slot.job is not None and slot.job.trial_id == trial_id:
                slot.stopping = True

    def shutdown(self, *, kill: bool = False) -> None:
        """End all workers: idle ones at once, busy ones after their job unless `kill`."""
        if not kill:
            self._wait_for_jobs()
        for slot in self._slots:
            slot.end()
        if self._hub is not None:
            self._hub.close()
            self._hub = None

    def __enter__(self) -> Self:
        self._depth += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Free the workers; inside an outer ``with`` of the same executor only the busy ones."""
        self._depth -= 1
        if self._depth == 0:
            self.shutdown(kill=True)
        else:
            for slot in self._slots:
                if slot.job is not None:
                    slot.end()

    # ------------------------------------------------------------------ events

    def _wait_for_jobs(self) -> None:
        while self._hub is not None and any(slot.job is not None for slot in self._slots):
            self.poll(lambda message: Decision.STOP, 0.1)

    def _collect(self, hub: Hub, handle: Handle, timeout_s: float) -> bool:
        """Handle all that is there; True if there was a message."""
        deadlines = [s.job.deadline + KILL_GRACE_S for s in self._slots if s.job and s.job.deadline]
        if deadlines:
            timeout_s = min(timeout_s, max(0.0, min(deadlines) - time.time()))
        ready = hub.wait(timeout_s)
        for connection, slot_index, generation, pid in hub.new_connections():
            self._slots[slot_index].connect(connection, generation, pid, hub)
        now, found = time.monotonic(), False
        waited_s, self._looked = now - self._looked, now
        for slot in self._slots:
            slot.listen(waited_s)
            if slot.connection is not None and slot.connection in ready:
                found |= self._receive(slot, handle)
        for slot in self._slots:
            is_lost = (slot.is_dead() and not slot.has_mail()) or slot.is_hung()
            if slot.job is not None and (slot.is_overdue() or is_lost):
                found = True
                self._give_up(slot, handle)
            elif slot.job is None and slot.is_dead():
                slot.end()  # an idle worker died: the next job gets a new one
        return found

    def _receive(self, slot: Slot, handle: Handle) -> bool:
        """Handle one message: between two of a worker the driver may have a job for another."""
        message = slot.receive()
        if message is None:
            return False
        if isinstance(message, Reported):
            decision = handle(message)
            slot.send(Decision.STOP.value if slot.stopping else decision.value)
        else:
            slot.job = None
            if self._max_rss_mb is not None and (slot.rss_mb or 0.0) > self._max_rss_mb:
                slot.end()  # before the driver hears of it, and has the next job for this place
            handle(message)
        return True

    def _give_up(self, slot: Slot, handle: Handle) -> None:
        """A worker died, or is killed: its job did not end at the deadline, or it hangs."""
        job = slot.job
        assert job is not None
        overdue, hung = slot.is_overdue(), slot.is_hung() and not slot.is_dead()
        name = f"pid {slot.pid}"
        reason = slot.end()
        if hung:
            reason = f"the worker process gave no sign of life for {slot.timeout_s:g} s, and was killed"
        if overdue:
            handle(Finished(job.trial_id, job.attempt, Decision.STOP, name))
        else:
            handle(Lost(job.trial_id, job.attempt, f"{name}: {reason}"))


def check_limit(name: str, value: object) -> None:
    """Refuse what is neither None nor a number > 0.

    Raises:
        OptionError: it is something else.
    """
    if value is None:
        return
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not value > 0:
        raise OptionError(f"{name} must be a number > 0, or None for no limit, got {value!r}")
