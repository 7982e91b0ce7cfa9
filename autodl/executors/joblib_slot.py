"""A place for one worker process of `JoblibExecutor`."""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from autodl.executors.functions import no_function
from autodl.executors.joblib_hub import Hub
from autodl.executors.joblib_vitals import Beat, Ended, beat_interval_s
from autodl.executors.joblib_worker import serve, watch_driver
from autodl.executors.protocol import Job, Message
from autodl.threads import thread_environment

KILL_GRACE_S = 0.5
"""How long past its deadline a job may take to end by itself, before its process is killed."""
LONGEST_LOOK_S = 1.0
"""Silence counts while the driver listens: a longer pause between two looks is the driver's own."""
START_S = 120.0
"""How long a new worker may take to connect, at least; only then it can beat."""


class Slot:
    """A place for one worker process: its pool, its connection, its job.

    Args:
        index: which of the executor's places this is.
        timeout_s: a worker that has a job and is silent for so long counts as hung; None: never.
    """

    def __init__(self, index: int, timeout_s: float | None = None) -> None:
        self.index = index
        self.timeout_s = timeout_s
        self.rss_mb: float | None = None  # after the last job
        self._silent_s = 0.0
        self.generation = 0
        self.pool: Any = None
        self.job: Job | None = None
        self.connection: Connection[Any, Any] | None = None
        self.pid: int | None = None
        self.stopping = False
        self.broken = False
        self._future: Future[None] | None = None
        self._processes: list[Any] = []
        self._hub: Hub | None = None
        self._outgoing: deque[Any] = deque()  # until the worker has connected
        self._known: set[int] = set()  # functions the worker has

    def start(self, hub: Hub, threads: int) -> None:
        """Start the process; it connects when it is ready."""
        from joblib.externals.loky import ProcessPoolExecutor  # noqa: PLC0415  # not needed by serial runs

        environment = thread_environment(threads)
        self.generation += 1
        self.broken = False
        self._hub = hub
        self.pool = ProcessPoolExecutor(
            max_workers=1, env=environment, initializer=watch_driver, initargs=(os.getpid(),)
        )
        beat_s = beat_interval_s(self.timeout_s)
        self._future = self.pool.submit(serve, hub.address, hub.authkey, self.index, self.generation, beat_s)
        self._future.add_done_callback(lambda _: hub.wake())
        # Kept here: a pool forgets its processes when one dies, and with them the exit code.
        self._processes = list(self.pool._processes.values())

    def connect(self, connection: Connection[Any, Any], generation: int, pid: int, hub: Hub) -> None:
        """The worker is there: send what waits for it."""
        if generation != self.generation or self.pool is None:
            connection.close()  # of a worker that was given up
            return
        self.connection, self.pid = connection, pid
        self._silent_s = 0.0
        hub.watch(connection)
        self._flush()

    def assign(self, job: Job, token: int, function: bytes) -> None:
        """Give the worker its next job."""
        self.job, self.stopping = job, False
        self._silent_s = 0.0
        known = token in self._known
        self._known = {token}
        self._outgoing.append((replace(job, function=no_function), token, None if known else function))
        self._flush()

    def _flush(self) -> None:
        while self.connection is not None and self._outgoing and not self.broken:
            self.send(self._outgoing.popleft())

    def send(self, message: Any) -> None:
        """To the worker; one that is gone is noted as broken."""
        try:
            assert self.connection is not None
            self.connection.send(message)
        except OSError:
            self.broken = True

    def receive(self) -> Message | None:
        """The worker's next message; None for a sign of life, or, noted as broken, if it is gone."""
        try:
            assert self.connection is not None
            message: Message | Beat | Ended = self.connection.recv()
        except (EOFError, OSError):
            self.broken = True
            return None
        self._silent_s = 0.0
        if isinstance(message, Ended):
            self.rss_mb = message.rss_mb
            return message.message
        return None if isinstance(message, Beat) else message

    def has_mail(self) -> bool:
        """True if there is something to receive: what a worker sent before it died still counts."""
        try:
            return self.connection is not None and not self.broken and self.connection.poll()
        except OSError:
            return False

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

    def listen(self, seconds: float) -> None:
        """The driver waited for messages for so long; a message sets the silence back to 0."""
        self._silent_s += min(seconds, LONGEST_LOOK_S)

    def is_hung(self) -> bool:
        """True if the worker has a job, and its process, though there, gave no sign of life for too long."""
        if self.timeout_s is None or self.job is None:
            return False
        limit_s = self.timeout_s if self.connection is not None else max(self.timeout_s, START_S)
        return self._silent_s >= limit_s and not self.has_mail()

    def end(self) -> str:
        """End the process, whatever it does; returns why it was dead, if it was."""
        if self.pool is None:
            return ""
        if self.connection is not None:
            assert self._hub is not None
            self._hub.unwatch(self.connection)
            self.connection.close()
        reason = self._kill()
        self.pool = self.connection = self._future = self.job = self.pid = self.rss_mb = None
        self._outgoing.clear()
        self._known.clear()
        return reason

    def _kill(self) -> str:
        processes = self._processes
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
