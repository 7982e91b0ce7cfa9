"""First in, first out: every trial runs to its own end."""

from __future__ import annotations

from collections.abc import Sequence

from autodl.schedulers.protocol import Action, Continue, Event, Start, TrialReported, WorkerFree


class FIFOScheduler:
    """Starts a trial on every free worker and lets each run to its own end.

    Example:
        >>> FIFOScheduler().handle(WorkerFree())
        (Start(to_resource=None),)
    """

    def handle(self, event: Event) -> Sequence[Action]:
        """See `autodl.schedulers.protocol.Scheduler.handle`."""
        match event:
            case WorkerFree():
                return (Start(),)
            case TrialReported(trial_id=trial_id):
                return (Continue(trial_id),)
            case _:
                return ()

    def __repr__(self) -> str:
        return "FIFOScheduler()"
