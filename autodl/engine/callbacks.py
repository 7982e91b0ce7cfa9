"""Hooks into a run: any object with some of the methods below, no base class needed.

``on_run_start(run)``, ``on_trial_start(trial)`` (again each time the trial goes on after a pause or
a lost worker), ``on_report(trial, report)``, ``on_trial_pause(trial)``, ``on_trial_end(trial)``,
``on_run_end(run)``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

HOOKS = ("on_run_start", "on_trial_start", "on_report", "on_trial_pause", "on_trial_end", "on_run_end")


class Callbacks:
    """Calls the hooks of many objects. One that raises is warned about and left out from then on.

    A progress display or a logging server that fails must not end a search of hours; an exception
    meant for the run (KeyboardInterrupt) passes.
    """

    def __init__(self, callbacks: Iterable[object]) -> None:
        objects = tuple(callbacks)
        self._hooks: dict[str, list[tuple[object, Callable[..., Any]]]] = {
            name: [(c, hook) for c in objects if (hook := getattr(c, name, None)) is not None]
            for name in HOOKS
        }

    def emit(self, hook: str, *arguments: object) -> None:
        """Call one hook of all objects that have it."""
        for callback, method in tuple(self._hooks[hook]):
            try:
                method(*arguments)
            except Exception as error:  # whatever it is, it is not the run's
                self._drop(callback)
                warnings.warn(
                    f"callback {type(callback).__name__}.{hook} failed and is not called any more: {error!r}",
                    RuntimeWarning,
                    stacklevel=2,
                )

    def _drop(self, callback: object) -> None:
        for hooks in self._hooks.values():
            hooks[:] = [(owner, method) for owner, method in hooks if owner is not callback]
