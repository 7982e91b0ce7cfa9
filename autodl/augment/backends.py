"""Which implementation of the ops runs, all at different speed: "torch" and "numba" give the same bytes.

"pil" does, too, but for fewer than one pixel in a thousand of what it shears and rotates.

"auto" on the CPU starts with what needs no compiling. Compiled ops take over at once if an
earlier process left them on disk, else as soon as the ops of this process have cost as much time as
compiling would: so a short fit never waits for a compiler, and a long one loses at most half.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from threading import Lock

from torch import Tensor

from autodl.augment.numba_ops import compile_ops, compiled_before, numba_installed, numba_ops
from autodl.augment.pil_ops import pil_ops
from autodl.augment.step import Backend, Step
from autodl.augment.torch_ops import torch_ops
from autodl.errors import MissingDependencyError, UnknownNameError

_BACKENDS: dict[str, Backend] = {"torch": torch_ops, "numba": numba_ops, "pil": pil_ops}
BACKENDS = ("auto", *_BACKENDS)

LARGE_PIXELS = 80 * 80
"""Images of at least so many pixels go one by one where there are no compiled ops."""
COMPILE_S = 10.0
"""About what compiling takes."""


def run_steps(images: Tensor, steps: Sequence[Step], backend: str) -> Tensor:
    """Carry checked steps out, one after the other; `images` stay as they are.

    Raises:
        UnknownNameError: no such backend.
        MissingDependencyError: backend "numba" without numba.
    """
    if backend not in BACKENDS:
        raise UnknownNameError("backend", backend, BACKENDS)
    if backend != "auto":
        return _BACKENDS[backend](images, steps)
    if images.device.type != "cpu":
        return torch_ops(images, steps)
    if _compiled.ready():
        return numba_ops(images, steps)
    started = time.perf_counter()
    slow = pil_ops if images.shape[2] * images.shape[3] >= LARGE_PIXELS else torch_ops
    result = slow(images, steps)
    _compiled.spent(time.perf_counter() - started)
    return result


class _Compiled:
    """Decides once a process when the compiled ops take over."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._ready: bool | None = None
        self._spent_s = 0.0

    def ready(self) -> bool:
        """Whether to use them; compiles or loads them when their time has come."""
        if self._ready:
            return True
        if self._ready is False and self._spent_s < COMPILE_S:
            return False
        with self._lock:
            if not self._ready:
                self._ready = self._load()
        return self._ready

    def spent(self, seconds: float) -> None:
        """Count time in the ops that need no compiling."""
        self._spent_s += seconds

    def _load(self) -> bool:
        if not numba_installed():
            self._spent_s = float("-inf")
            return False
        try:
            if self._spent_s < COMPILE_S and not compiled_before():
                return False
            compile_ops()
        except MissingDependencyError:  # installed but does not import: too old for this NumPy
            self._spent_s = float("-inf")
            return False
        return True


_compiled = _Compiled()
