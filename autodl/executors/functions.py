"""Training functions on their way to other processes."""

from __future__ import annotations

import itertools
from typing import Any

from autodl.errors import OptionError


class PickledFunctions:
    """Pickles of functions: one is the same for all jobs of a run."""

    def __init__(self) -> None:
        self._tokens = itertools.count()
        self._last: tuple[Any, int, bytes] | None = None

    def pickled(self, function: Any) -> tuple[int, bytes]:
        """(token, pickle); equal tokens, same function.

        Raises:
            OptionError: the function holds something that cannot leave this process.
        """
        if self._last is None or self._last[0] is not function:
            import cloudpickle  # noqa: PLC0415  # not needed by serial runs

            try:
                pickled = cloudpickle.dumps(function)
            except Exception as error:  # whatever a user's object raises when it is pickled
                raise OptionError(
                    f"the training function cannot be sent to worker processes ({type(error).__name__}: "
                    f"{error}): open files, locks and connections inside it, or use one worker"
                ) from error
            self._last = (function, next(self._tokens), pickled)
        return self._last[1:]


def no_function(config: Any, reporter: Any) -> None:
    """Stands in a job for the function that is sent apart."""
