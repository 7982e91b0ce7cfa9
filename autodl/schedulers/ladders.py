"""Where each trial stands on its bracket's rungs: what all kinds of successive halving share."""

from __future__ import annotations

import math
from dataclasses import dataclass

from autodl.schedulers.rungs import bracket_of, check_rungs, rung_levels, rung_reached


@dataclass(frozen=True, slots=True)
class Place:
    """A rung: the bracket's number, and the rung's number in it, both from 0."""

    bracket: int
    rung: int


class Ladders:
    """The rungs of every bracket, and the highest one that each live trial has reached.

    Args:
        max_resource: R, the resource of a full trial.
        grace_period: r, the resource every trial gets before the first decision.
        reduction_factor: eta > 1.
        brackets: number of brackets; bracket s leaves out the first s rungs.

    Raises:
        OptionError: the numbers give no sensible rungs.
    """

    def __init__(self, max_resource: int, grace_period: int, reduction_factor: float, brackets: int) -> None:
        check_rungs(max_resource, grace_period, reduction_factor, brackets)
        self.levels = [
            rung_levels(max_resource, grace_period, reduction_factor, bracket) for bracket in range(brackets)
        ]
        self._factor = reduction_factor
        self._reached: dict[int, int] = {}  # live trial -> number of the highest rung it was compared at

    def bracket(self, trial_id: int) -> int:
        """The bracket that a trial belongs to."""
        return bracket_of(trial_id, self._factor, [len(levels) for levels in self.levels])

    def arrive(self, trial_id: int, resource: int) -> Place | None:
        """The rung that a trial reaches by this report; None: none, or it was there before."""
        bracket = self.bracket(trial_id)
        rung = rung_reached(self.levels[bracket], resource)
        if rung is None or rung <= self._reached.get(trial_id, -1):
            return None
        self._reached[trial_id] = rung
        return Place(bracket, rung)

    def next_level(self, place: Place) -> int | None:
        """The resource of the rung above; None: there is none, the trial runs to its end."""
        levels = self.levels[place.bracket]
        return levels[place.rung + 1] if place.rung + 1 < len(levels) else None

    def first_level(self, trial_id: int) -> int | None:
        """The resource of a trial's first rung; None: its bracket has no rung."""
        levels = self.levels[self.bracket(trial_id)]
        return levels[0] if levels else None

    def from_the_top(self) -> list[Place]:
        """All rungs, those of the highest resource first; of equals the bracket with fewer rungs."""
        places = [
            Place(bracket, rung) for bracket, levels in enumerate(self.levels) for rung in range(len(levels))
        ]
        return sorted(places, key=lambda place: (-self.levels[place.bracket][place.rung], -place.bracket))

    def leave(self, trial_id: int) -> None:
        """Forget a trial that ended."""
        self._reached.pop(trial_id, None)

    def is_live(self, trial_id: int) -> bool:
        """True for a trial that reached a rung and has not ended."""
        return trial_id in self._reached


def comparable(score: float) -> float:
    """A score that can be ordered: NaN would break the order, it is as bad as can be."""
    return -math.inf if math.isnan(score) else score
