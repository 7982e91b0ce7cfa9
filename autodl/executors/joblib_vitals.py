"""What a worker of `JoblibExecutor` tells of itself besides its trial: that it lives, how big it is."""

from __future__ import annotations

import platform
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from autodl.executors.protocol import Failed, Finished

LONGEST_BEAT_S = 5.0
BEATS_PER_TIMEOUT = 4.0
"""A beat or two may be late on a busy machine; so many in a row are not."""


@dataclass(frozen=True, slots=True)
class Beat:
    """The worker's interpreter runs, whatever its trial does."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A trial's last message, and the worker's memory after it.

    Attributes:
        message: how the trial ended.
        rss_mb: resident memory, in MB of 10^6 bytes; None where it cannot be told.
    """

    message: Finished | Failed
    rss_mb: float | None


def beat_interval_s(timeout_s: float | None) -> float | None:
    """How often a worker beats, for a timeout in seconds; None: never."""
    return None if timeout_s is None else min(LONGEST_BEAT_S, timeout_s / BEATS_PER_TIMEOUT)


def start_beating(send: Callable[[object], None], interval_s: float) -> None:
    """Send beats from a thread of its own.

    The thread needs the interpreter's lock: a process that is stopped, or sits in a C call that
    keeps the lock, is silent. Python code and calls that release the lock are not.
    """

    def beat() -> None:
        never = threading.Event()
        while not never.wait(interval_s):
            send(Beat())

    threading.Thread(target=beat, name="autodl-beat", daemon=True).start()


def rss_mb() -> float | None:
    """This process's resident memory in MB; its peak where the system tells no more."""
    try:
        import resource  # noqa: PLC0415  # not on every platform

        statm = Path("/proc/self/statm")
        if statm.exists():
            return int(statm.read_text().split()[1]) * resource.getpagesize() / 1e6
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    except (ImportError, OSError):
        return None
    return peak / 1e6 if platform.system() == "Darwin" else peak / 1e3  # bytes there, kilobytes elsewhere
