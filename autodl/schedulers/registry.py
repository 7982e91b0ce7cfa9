"""From a name to a scheduler: the one table of names."""

from __future__ import annotations

import inspect
from typing import Any

from autodl.errors import OptionError
from autodl.plugins import look_up
from autodl.schedulers.asha import ASHAScheduler
from autodl.schedulers.fifo import FIFOScheduler
from autodl.schedulers.hyperband import HyperbandScheduler
from autodl.schedulers.median import MedianStoppingScheduler
from autodl.schedulers.pbt import PBTScheduler
from autodl.schedulers.protocol import Scheduler
from autodl.schedulers.sync_halving import SyncHalvingScheduler

SCHEDULERS: dict[str, Any] = {
    "fifo": FIFOScheduler,
    "asha": ASHAScheduler,
    "hyperband": HyperbandScheduler,
    "sync_halving": SyncHalvingScheduler,
    "median": MedianStoppingScheduler,
    "pbt": PBTScheduler,
}


def get_scheduler(scheduler: str | Scheduler, **defaults: Any) -> Scheduler:
    """The scheduler a user means.

    Args:
        scheduler: a name ("fifo", "asha", "hyperband", "sync_halving", "median", "pbt", or one a third
            party offers by an entry point of the group ``autodl.schedulers``), or an object with a
            `handle` method, returned as it is.
        defaults: what the caller knows of the run (``max_resource=27``); a named scheduler gets
            those its constructor asks for. None means not known.

    Raises:
        UnknownNameError: no scheduler has that name; the message lists the names.
        OptionError: not a scheduler; or the named one needs something that is not known.

    Example:
        >>> get_scheduler("asha", max_resource=27)
        ASHAScheduler(max_resource=27, grace_period=1, reduction_factor=3, brackets=1, type='stopping')
    """
    if not isinstance(scheduler, str):
        if isinstance(scheduler, type) or not isinstance(scheduler, Scheduler):
            raise OptionError(f"a scheduler is a name or an object with handle(event), got {scheduler!r}")
        return scheduler
    factory = look_up("scheduler", scheduler, SCHEDULERS)
    asked = inspect.signature(factory).parameters
    options = {k: v for k, v in defaults.items() if k in asked and v is not None}
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    required = [name for name, p in asked.items() if p.default is p.empty and p.kind in named]
    missing = [name for name in required if name not in options]
    if missing:
        raise OptionError(
            f"scheduler {scheduler!r} needs {', '.join(missing)}: pass {missing[0]}=... to tune, "
            f"or a {factory.__name__}(...) object as the scheduler"
        )
    made = factory(**options)
    if not isinstance(made, Scheduler):
        raise OptionError(f"scheduler {scheduler!r} gives {made!r}, which has no handle(event)")
    return made
