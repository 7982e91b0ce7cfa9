"""The worker's side of `JoblibExecutor`: one process, one connection, one job after the other."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
import traceback
from dataclasses import replace
from multiprocessing.connection import Client, Connection
from typing import Any

from autodl.executors.cutoff import Cutoff, can_use_alarm
from autodl.executors.joblib_vitals import Ended, rss_mb, start_beating
from autodl.executors.protocol import Decision, Failed, Finished, Job, Reported
from autodl.executors.runner import run_job
from autodl.threads import set_threads

_LOOK_S = 0.5
"""How often a worker checks that the driver lives."""


def watch_driver(pid: int) -> None:
    """End this process when the driver does; the pool calls it first thing in a new worker.

    The end of the connection is not enough: a driver may die before a worker has connected, or
    leave children that hold the connection open.
    """

    def watch() -> None:
        while os.getppid() == pid:
            time.sleep(_LOOK_S)
        os._exit(1)

    threading.Thread(target=watch, name="autodl-watch", daemon=True).start()


def serve(address: str, authkey: bytes, slot: int, generation: int, beat_s: float | None = None) -> None:
    """Run jobs until the driver says so or is gone. Started in the worker by the pool.

    Args:
        address: where the driver listens.
        authkey: proves both sides to each other.
        slot: which of the executor's places this is.
        generation: how many workers the place had before.
        beat_s: seconds between two signs of life; None: no such signs.
    """
    _ignore_interrupts()
    connection = Client(address, authkey=authkey)
    connection.send((slot, generation, os.getpid()))
    _Worker(connection).run(beat_s)


def _ignore_interrupts() -> None:
    """Ctrl-C in a terminal reaches all its processes; the driver decides what comes of it."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


class _Worker:
    """Reads in a thread, so that the driver's death ends a job that never reports."""

    def __init__(self, connection: Connection[Any, Any]) -> None:
        self._connection = connection
        self._sending = threading.Lock()  # trials and beats use the same connection
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._name = f"pid {os.getpid()}"
        self._functions: dict[int, Any] = {}

    def run(self, beat_s: float | None) -> None:
        """Work until told to end; a beat every `beat_s` seconds."""
        if beat_s is not None:
            start_beating(self._send, beat_s)
        threading.Thread(target=self._read, name="autodl-reader", daemon=True).start()
        while (item := self._inbox.get()) is not None:
            message = self._run(*item)
            self._send(Ended(message, rss_mb()))

    def _read(self) -> None:
        try:
            while True:
                message = self._connection.recv()
                self._inbox.put(message)
                if message is None:
                    return
        except (EOFError, OSError):
            os._exit(1)  # the driver is gone; whatever the job does, nobody wants it
        except BaseException:  # a message that cannot be read here: a worker that goes on would wait for ever
            traceback.print_exc()
            os._exit(2)

    def _send(self, message: object) -> None:
        try:
            with self._sending:
                self._connection.send(message)
        except OSError:
            os._exit(1)

    def _run(self, job: Job, token: int, function: bytes | None) -> Finished | Failed:
        """Run one job.

        Args:
            job: its function is left out and comes apart, since it is the same for most jobs.
            token: which function.
            function: its pickle, if this worker has not had it yet.
        """
        set_threads(job.threads)

        def call(config: Any, reporter: Any) -> Any:
            # Unpickled inside the job: an error in the user's imports is the trial's failure.
            if token not in self._functions:
                import cloudpickle  # noqa: PLC0415  # only workers need it

                assert function is not None
                self._functions.clear()
                self._functions[token] = cloudpickle.loads(function)
            return self._functions[token](config, reporter)

        cutoff = Cutoff(job.deadline if can_use_alarm() else None)
        try:
            return run_job(replace(job, function=call), self._ask_for(job), worker=self._name, cutoff=cutoff)
        except KeyboardInterrupt as error:  # raised by the job itself: the signal is ignored here
            return Failed(job.trial_id, job.attempt, repr(error), repr(error), self._name)

    def _ask_for(self, job: Job) -> Any:
        def ask(resource: int, metrics: dict[str, float]) -> Decision:
            self._send(Reported(job.trial_id, job.attempt, resource, metrics, self._name))
            answer = self._inbox.get()
            return Decision(answer) if answer is not None else Decision.STOP

        return ask
