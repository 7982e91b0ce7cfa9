"""Run jobs in processes of their own, on this machine (joblib's loky).

Each slot is a loky pool of one process, so that a killed worker takes nobody with it. loky starts
the process and ships the code (also what is defined in ``__main__``); jobs, reports and answers
then go over one connection a worker, which costs a tenth of a pool's task.
"""

from __future__ import annotations

import itertools
import os
import queue
import secrets
import selectors
import signal
import socket
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from multiprocessing.connection import Connection, Listener
from types import TracebackType
from typing import Any, Self

from autodl.errors import OptionError
from autodl.executors.joblib_worker import serve
from autodl.executors.protocol import Decision, Finished, Job, Lost, Message, Reported

KILL_GRACE_S = 0.5
"""How long past its deadline a job may take to end by itself, before its process is killed."""
STOP_GRACE_S = 2.0

Handle = Callable[[Message], Decision]
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class JoblibExecutor:
    """Worker processes, started when the first jobs come, all at the same time.

    Args:
        num_workers: how many jobs run at once; None: as many as there are CPUs for this process.
        threads_per_worker: CPU threads a worker's libraries use; None: the CPUs divided among workers.

    Raises:
        OptionError: not a whole number >= 1.

    Example::

        ad.tune(train, metric="accuracy", num_trials=100, executor=ad.JoblibExecutor(4))
    """

    def __init__(self, num_workers: int | None = None, threads_per_worker: int | None = None) -> None:
        for name, value in (("num_workers", num_workers), ("threads_per_worker", threads_per_worker)):
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise OptionError(f"{name} must be a whole number >= 1, got {value!r}")
        cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self.num_workers = cpus if num_workers is None else num_workers
        self.threads_per_worker = threads_per_worker or max(1, cpus // self.num_workers)
        self._slots = [_Slot(index) for index in range(self.num_workers)]
        self._hub: _Hub | None = None
        self._functions = _Functions()
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
            self._hub = _Hub()
        if slot.pool is None:
            slot.start(self._hub, self.threads_per_worker)
        slot.assign(job, *self._functions.pickled(job.function))

    def poll(self, handle: Handle, timeout_s: float) -> None:
        """Hand over what came, waiting up to `timeout_s` for the first message."""
        hub = self._hub
        if hub is None:
            return
        until = time.monotonic() + timeout_s
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

    def _collect(self, hub: _Hub, handle: Handle, timeout_s: float) -> bool:
        """Handle all that is there; True if there was a message."""
        deadlines = [s.job.deadline + KILL_GRACE_S for s in self._slots if s.job and s.job.deadline]
        if deadlines:
            timeout_s = min(timeout_s, max(0.0, min(deadlines) - time.time()))
        ready = hub.wait(timeout_s)
        for connection, slot_index, generation, pid in hub.new_connections():
            self._slots[slot_index].connect(connection, generation, pid, hub)
        found = False
        for slot in self._slots:
            if slot.connection is not None and slot.connection in ready:
                found |= self._receive(slot, handle)
        for slot in self._slots:
            if slot.job is not None and (slot.is_dead() or slot.is_overdue()):
                found = True
                self._give_up(slot, handle)
            elif slot.job is None and slot.is_dead():
                slot.end()  # an idle worker died: the next job gets a new one
        return found

    def _receive(self, slot: _Slot, handle: Handle) -> bool:
        assert slot.connection is not None
        found = False
        try:
            while slot.connection is not None and slot.connection.poll():
                message: Message = slot.connection.recv()
                found = True
                if isinstance(message, Reported):
                    decision = handle(message)
                    decision = Decision.STOP if slot.stopping else decision
                    slot.connection.send(decision.value)
                else:
                    slot.job = None
                    handle(message)
        except (EOFError, OSError):
            slot.broken = True
        return found

    def _give_up(self, slot: _Slot, handle: Handle) -> None:
        """A worker died, or is killed because its job did not end at the deadline."""
        job = slot.job
        assert job is not None
        overdue = slot.is_overdue()
        name = f"pid {slot.pid}"
        reason = slot.end()
        if overdue:
            handle(Finished(job.trial_id, job.attempt, Decision.STOP, name))
        else:
            handle(Lost(job.trial_id, job.attempt, f"{name}: {reason}"))


class _Functions:
    """Pickles of functions: one is the same for all jobs of a run."""

    def __init__(self) -> None:
        self._tokens = itertools.count()
        self._last: tuple[Any, int, bytes] | None = None

    def pickled(self, function: Any) -> tuple[int, bytes]:
        """(token, pickle); equal tokens, same function."""
        if self._last is None or self._last[0] != function:
            import cloudpickle  # noqa: PLC0415  # not needed by serial runs

            self._last = (function, next(self._tokens), cloudpickle.dumps(function))
        return self._last[1:]


class _Slot:
    """A place for one worker process: its pool, its connection, its job."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.generation = 0
        self.pool: Any = None
        self.job: Job | None = None
        self.connection: Connection[Any, Any] | None = None
        self.pid: int | None = None
        self.stopping = False
        self.broken = False
        self._future: Future[None] | None = None
        self._hub: _Hub | None = None
        self._outgoing: deque[Any] = deque()  # until the worker has connected
        self._known: set[int] = set()  # functions the worker has

    def start(self, hub: _Hub, threads: int) -> None:
        """Start the process; it connects when it is ready."""
        from joblib.externals.loky import ProcessPoolExecutor  # noqa: PLC0415  # not needed by serial runs

        environment = {name: str(threads) for name in THREAD_VARIABLES}
        environment["OMP_WAIT_POLICY"] = "PASSIVE"  # idle OpenMP threads that spin slow small nets 300-fold
        self.generation += 1
        self.broken = False
        self._hub = hub
        self.pool = ProcessPoolExecutor(max_workers=1, env=environment)
        self._future = self.pool.submit(serve, hub.address, hub.authkey, self.index, self.generation)
        self._future.add_done_callback(lambda _: hub.wake())

    def connect(self, connection: Connection[Any, Any], generation: int, pid: int, hub: _Hub) -> None:
        """The worker is there: send what waits for it."""
        if generation != self.generation or self.pool is None:
            connection.close()  # of a worker that was given up
            return
        self.connection, self.pid = connection, pid
        hub.watch(connection)
        self._flush()

    def assign(self, job: Job, token: int, function: bytes) -> None:
        """Give the worker its next job."""
        self.job, self.stopping = job, False
        known = token in self._known
        self._known = {token}
        self._outgoing.append((replace(job, function=None), token, None if known else function))
        self._flush()

    def _flush(self) -> None:
        try:
            while self.connection is not None and self._outgoing:
                self.connection.send(self._outgoing.popleft())
        except OSError:
            self.broken = True

    def is_dead(self) -> bool:
        """True if the process is gone."""
        return self.broken or (self._future is not None and self._future.done())

    def is_overdue(self) -> bool:
        """True if the job should have ended at its deadline and did not."""
        return (
            self.job is not None
            and self.job.deadline is not None
            and time.time() >= self.job.deadline + KILL_GRACE_S
        )

    def end(self) -> str:
        """End the process, whatever it does; returns why it was dead, if it was."""
        if self.pool is None:
            return ""
        if self.connection is not None:
            assert self._hub is not None
            self._hub.unwatch(self.connection)
            self.connection.close()
        reason = self._kill()
        self.pool = self.connection = self._future = self.job = self.pid = None
        self._outgoing.clear()
        self._known.clear()
        return reason

    def _kill(self) -> str:
        processes = list((self.pool._processes or {}).values())
        if self.broken and self._future is not None:
            _wait_until(self._future.done, 0.2)  # the pool learns the exit code a moment later
        error = self._future.exception() if self._future is not None and self._future.done() else None
        codes = [process.exitcode for process in processes if process.exitcode is not None]
        self.pool.shutdown(wait=False, kill_workers=True)
        for process in processes:
            if process.exitcode is None and process.pid is not None:
                _kill_process(process.pid)
        if codes:
            return f"the worker process ended with {_describe_exit(codes[0])}"
        return f"the worker process died ({type(error).__name__})" if error else "the worker process died"


class _Hub:
    """Where workers connect to, and what the driver waits on."""

    def __init__(self) -> None:
        self.authkey = secrets.token_bytes(32)
        family = "AF_UNIX" if hasattr(socket, "AF_UNIX") else "AF_INET"
        self._folder = tempfile.TemporaryDirectory(prefix="autodl-", ignore_cleanup_errors=True)
        where: Any = os.path.join(self._folder.name, "s") if family == "AF_UNIX" else ("127.0.0.1", 0)
        self._listener = Listener(where, family=family, backlog=64, authkey=self.authkey)
        self.address: Any = self._listener.address
        self._new: queue.SimpleQueue[tuple[Connection[Any, Any], int, int, int]] = queue.SimpleQueue()
        self._closed = False
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_out, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._accept, name="autodl-accept", daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        """In a thread of its own: the handshake waits for the worker."""
        while not self._closed:
            try:
                connection = self._listener.accept()
                slot, generation, pid = connection.recv()
            except Exception:  # a worker that died in the handshake, or a stranger: the next one, please
                if self._closed:
                    return
                time.sleep(0.01)
                continue
            self._new.put((connection, slot, generation, pid))
            self.wake()

    def wake(self) -> None:
        """End the driver's `wait`."""
        try:
            self._wake_in.send(b"x")
        except OSError:
            pass  # closed, or full: then it is awake anyway

    def wait(self, timeout_s: float) -> set[Connection[Any, Any]]:
        """The connections that have something to read."""
        ready = set()
        for key, _ in self._selector.select(timeout_s):
            if key.fileobj is self._wake_out:
                try:
                    self._wake_out.recv(4096)
                except BlockingIOError:
                    pass
            else:
                ready.add(key.fileobj)
        return ready  # type: ignore[return-value]

    def new_connections(self) -> list[tuple[Connection[Any, Any], int, int, int]]:
        """Workers that have connected since the last call."""
        found = []
        while not self._new.empty():
            found.append(self._new.get())
        return found

    def watch(self, connection: Connection[Any, Any]) -> None:
        """Let `wait` look at a connection."""
        self._selector.register(connection, selectors.EVENT_READ)

    def unwatch(self, connection: Connection[Any, Any]) -> None:
        """Let `wait` no longer look at it."""
        self._selector.unregister(connection)

    def close(self) -> None:
        """Close all that is open; the thread ends by itself."""
        self._closed = True
        self._listener.close()
        for connection, *_ in self.new_connections():
            connection.close()
        self._selector.close()
        self._wake_in.close()
        self._wake_out.close()
        self._folder.cleanup()


def _wait_until(condition: Callable[[], bool], timeout_s: float) -> None:
    until = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < until:
        time.sleep(0.005)


def _kill_process(pid: int) -> None:
    try:
        os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    except (ProcessLookupError, PermissionError):
        pass


def _describe_exit(code: int) -> str:
    if code < 0:
        try:
            return f"signal {signal.Signals(-code).name}"
        except ValueError:
            return f"signal {-code}"
    return f"exit code {code}"
