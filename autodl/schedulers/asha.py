"""Asynchronous successive halving, in two types: stopping and promotion.

Source: L. Li et al., "A System for Massively Parallel Hyperparameter Tuning" (MLSys 2020),
algorithm 2, which is the promotion type. Departure: the stopping type, which other tools have
too, decides once, on arrival, and either lets the trial run on or ends it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from autodl.errors import OptionError
from autodl.schedulers.ladders import Ladders, Place, comparable
from autodl.schedulers.protocol import (
    Action,
    Continue,
    Event,
    Pause,
    Resume,
    Start,
    Stop,
    TrialFailed,
    TrialFinished,
    TrialPaused,
    TrialReported,
    TrialStarted,
    WorkerFree,
)
from autodl.schedulers.rung_records import PromotionRung, StoppingRung

RungType = Literal["stopping", "promotion"]


class ASHAScheduler:
    """Gives more resource only to the best 1/`reduction_factor` of the trials seen at a rung.

    ``"stopping"`` ends the others at once. It needs no checkpoints; the price is that the first
    trials to reach a rung go on with little to compare them with. ``"promotion"`` pauses every
    trial at each rung; a free worker goes on with the best one that is due, from the highest rung,
    and starts a new trial only where none is. It needs ``reporter.save`` in the training function,
    else a promoted trial starts from nothing; what stays paused when the run ends is ended there.

    A trial that reports past a rung without having reported at it (every 2nd epoch, say) is
    compared at the highest rung it has reached, and at none it jumped over. A trial that came
    back after its worker died is not compared twice at a rung. At `max_resource` itself a trial
    is left to come to its own end (so that what the function does after its last report still
    happens); a report beyond it ends the trial.

    Args:
        max_resource: R, the resource of a full trial, in units of a report's resource (epochs).
        grace_period: r, the resource every trial gets before the first decision.
        reduction_factor: eta > 1, whole or not: 1/eta of the trials pass a rung.
        brackets: number of brackets; bracket s leaves out the first s rungs, a hedge against
            early scores that mislead. Trials are spread over brackets in Hyperband's proportions.
        type: ``"stopping"`` or ``"promotion"``.

    Raises:
        OptionError: the numbers give no sensible rungs, or no such type.

    Example:
        >>> asha = ASHAScheduler(max_resource=9, reduction_factor=3)
        >>> asha.handle(TrialReported(0, resource=1, score=0.8))
        (Continue(trial_id=0),)
        >>> asha.handle(TrialReported(1, resource=1, score=0.5))
        (Stop(trial_id=1),)
    """

    def __init__(
        self,
        max_resource: int,
        grace_period: int = 1,
        reduction_factor: float = 3,
        brackets: int = 1,
        type: RungType = "stopping",
    ) -> None:
        if type not in ("stopping", "promotion"):
            raise OptionError(f'type must be "stopping" or "promotion", got {type!r}')
        self._ladders = Ladders(max_resource, grace_period, reduction_factor, brackets)
        self.max_resource = max_resource
        self.grace_period = grace_period
        self.reduction_factor = reduction_factor
        self.brackets = brackets
        self.type = type
        places = self._ladders.from_the_top()
        self._stopping: dict[Place, StoppingRung] = {}
        self._promotion: dict[Place, PromotionRung] = {}
        if type == "stopping":
            self._stopping = {place: StoppingRung(reduction_factor) for place in places}
        else:
            self._promotion = {place: PromotionRung(reduction_factor) for place in places}
        self._pausing: dict[int, tuple[Place, float]] = {}  # told to pause, still on its worker
        self._started = 0

    def handle(self, event: Event) -> Sequence[Action]:
        """See `autodl.schedulers.protocol.Scheduler.handle`."""
        match event:
            case WorkerFree(can_start=can_start):
                return self._next_job(can_start=can_start)
            case TrialStarted(trial_id=trial_id):
                self._started = trial_id + 1
            case TrialReported():
                return (self._decide(event),)
            case TrialPaused(trial_id=trial_id):
                self._wait(trial_id)
            case TrialFinished(trial_id=trial_id) | TrialFailed(trial_id=trial_id):
                self._ladders.leave(trial_id)
                self._pausing.pop(trial_id, None)
        return ()

    def _decide(self, event: TrialReported) -> Action:
        trial_id = event.trial_id
        if event.resource > self.max_resource:
            return Stop(trial_id)
        if event.resource == self.max_resource:
            return Continue(trial_id)
        place = self._ladders.arrive(trial_id, event.resource)
        if place is None:
            return Continue(trial_id)
        score = comparable(event.score)
        if self.type == "stopping":
            return Continue(trial_id) if self._stopping[place].admit(score) else Stop(trial_id)
        self._promotion[place].record(trial_id, score)
        self._pausing[trial_id] = (place, score)
        return Pause(trial_id)

    def _wait(self, trial_id: int) -> None:
        if trial_id in self._pausing:
            place, score = self._pausing.pop(trial_id)
            self._promotion[place].wait(trial_id, score)

    def _next_job(self, *, can_start: bool) -> Sequence[Action]:
        for place, rung in self._promotion.items():  # from the top
            trial_id = rung.promote(self._ladders.is_live)
            if trial_id is not None:
                return (Resume(trial_id, self._ladders.next_level(place)),)
        if not can_start:
            return ()
        to = self._ladders.first_level(self._started) if self.type == "promotion" else None
        return (Start(to),)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(max_resource={self.max_resource}, grace_period={self.grace_period}, "
            f"reduction_factor={self.reduction_factor}, brackets={self.brackets}, type={self.type!r})"
        )
