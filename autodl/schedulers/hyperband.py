"""Asynchronous Hyperband: ASHA over every early-stopping rate.

Source: L. Li, K. Jamieson, G. DeSalvo, A. Rostamizadeh, A. Talwalkar, "Hyperband: A Novel
Bandit-Based Approach to Hyperparameter Optimization" (JMLR 2018), algorithm 1; made asynchronous
as in L. Li et al. (MLSys 2020), section 3.3. Departure: brackets do not run one after the other.
Each trial belongs to one by its number, so that at any time each bracket has had its share.
"""

from __future__ import annotations

from autodl.schedulers.asha import ASHAScheduler, RungType
from autodl.schedulers.rungs import check_rungs, rung_levels


class HyperbandScheduler(ASHAScheduler):
    """Hedges over how early scores can be trusted: successive halving with each first rung.

    Bracket 0 decides from `grace_period` on, each next one a rung later, the last not at all
    (random search). Every bracket gets about the same resource.

    Args:
        max_resource: R, the resource of a full trial.
        grace_period: r, the least resource of a trial.
        reduction_factor: eta > 1.
        brackets: how many of the brackets, the earliest-stopping first; None: all.
        type: ``"stopping"`` or ``"promotion"``, see `ASHAScheduler`.

    Raises:
        OptionError: the numbers give no sensible rungs, or no such type.

    Example:
        >>> HyperbandScheduler(max_resource=81).brackets
        5
    """

    def __init__(
        self,
        max_resource: int,
        grace_period: int = 1,
        reduction_factor: float = 3,
        brackets: int | None = None,
        type: RungType = "stopping",
    ) -> None:
        if brackets is None:
            check_rungs(max_resource, grace_period, reduction_factor)
            brackets = len(rung_levels(max_resource, grace_period, reduction_factor)) + 1
        super().__init__(max_resource, grace_period, reduction_factor, brackets, type)
