"""Ctrl-C ends a run in good order; a second one ends it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self


class InterruptGuard:
    """Keeps KeyboardInterrupt out of the driver's own code, where it would leave half a change.

    The first Ctrl-C is noted, and raised only where the driver waits or a trial runs (inside
    `outside`); the second raises wherever it comes. Outside the main thread, or with a handler of
    the user's own in place, nothing is changed.
    """

    def __init__(self) -> None:
        self.presses = 0
        self._is_outside = False
        self._installed = False

    @property
    def interrupted(self) -> bool:
        """True from the first Ctrl-C on."""
        return self.presses > 0

    def __enter__(self) -> Self:
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._on_interrupt)
            self._installed = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._installed = False

    @contextmanager
    def outside(self) -> Iterator[None]:
        """The driver waits, or foreign code runs: an interrupt may be raised in here."""
        self._is_outside = True
        try:
            if self.interrupted:
                raise KeyboardInterrupt
            yield
        finally:
            self._is_outside = False

    @contextmanager
    def inside(self) -> Iterator[None]:
        """The driver's own code again, called from `outside`."""
        before, self._is_outside = self._is_outside, False
        try:
            yield
        finally:
            self._is_outside = before

    def _on_interrupt(self, signum: int, frame: FrameType | None) -> None:
        self.presses += 1
        if self.presses > 1 or self._is_outside:
            raise KeyboardInterrupt
