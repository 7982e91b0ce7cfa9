"""Cut a job at its deadline, wherever its code is, but never inside the driver's own code."""

from __future__ import annotations

import gc
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

from autodl.executors.protocol import Decision

_SWALLOWING = ("weakref", "_weakrefset")
"""Modules whose functions run as callbacks of weak references: the interpreter drops what they raise."""

REPEAT_S = 0.5
"""A job that swallows the first cut gets another one after this many seconds."""


class TrialInterrupted(BaseException):
    """Ends a trial from inside its own code: the scheduler, the deadline or the user wants it.

    A BaseException, so that a trial's ``except Exception`` does not swallow it.
    """

    def __init__(self, decision: Decision = Decision.STOP) -> None:
        super().__init__(decision)
        self.decision = decision


def can_use_alarm() -> bool:
    """True where a signal can interrupt the job: in the main thread, where SIGALRM exists."""
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


class Cutoff:
    """Raises `TrialInterrupted` at a deadline in the code that runs inside the ``with`` block.

    By SIGALRM, which also ends a ``sleep`` or a lock that waits for ever. A call that stays in C
    (one long matrix product) is cut when it comes back to Python. A timer that was armed before
    (pytest-timeout has one) goes on afterwards.

    Args:
        deadline: ``time.time()`` of the cut; None: never.
    """

    def __init__(self, deadline: float | None) -> None:
        self._deadline = deadline
        self._armed = False
        self._shielded = False
        self._due = False
        self._old_handler: Any = None
        self._old_timer = (0.0, 0.0)
        self._entered = 0.0

    @property
    def passed(self) -> bool:
        """True once the deadline lies behind."""
        return self._deadline is not None and time.time() >= self._deadline

    def __enter__(self) -> Self:
        if self._deadline is not None:
            self._entered = time.monotonic()
            self._old_handler = signal.signal(signal.SIGALRM, self._on_alarm)
            self._armed = True
            wait_s = max(self._deadline - time.time(), 1e-6)
            self._old_timer = signal.setitimer(signal.ITIMER_REAL, wait_s, REPEAT_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.disarm()

    def disarm(self) -> None:
        """No cut from here on; harmless when called twice."""
        self._shielded = True
        if not self._armed:
            return
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._old_handler)
        self._armed = False
        left_s, interval_s = self._old_timer
        if left_s:
            left_s = max(left_s - (time.monotonic() - self._entered), 1e-3)
            signal.setitimer(signal.ITIMER_REAL, left_s, interval_s)

    @contextmanager
    def shield(self) -> Iterator[None]:
        """The driver's code runs inside: a cut that falls due waits until it is left."""
        self._shielded = True
        try:
            yield
        finally:
            self._shielded = False
        if self._due:
            raise TrialInterrupted

    def _on_alarm(self, signum: int, frame: FrameType | None) -> None:
        if self._shielded:
            self._due = True
            return
        if frame is not None and _swallows(frame):
            return  # the timer comes back in a moment
        raise TrialInterrupted


def _swallows(frame: FrameType) -> bool:
    """Whether the interpreter would drop what is raised here: a callback of a weak reference or of gc."""
    if frame.f_globals.get("__name__") in _SWALLOWING:
        return True
    return any(getattr(callback, "__code__", None) is frame.f_code for callback in gc.callbacks)
