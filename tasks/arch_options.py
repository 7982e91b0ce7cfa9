"""How ``fit(nas=...)`` searches an architecture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from autodl.errors import OptionError, UnknownNameError
from autodl.nas import Space, Strategy
from autodl.nas.costs import Cost, MACs, Params
from autodl.nas.latency import LatencyTable
from autodl.nas.objectives import Objective, Power
from autodl.nas.strategies.registry import get_strategy

COSTS = ("params", "macs", "latency")

CostOf = Callable[[Space], Cost]


@dataclass(frozen=True)
class NASOptions:
    """A strategy, what it weighs, and how much of the time it gets.

    Attributes:
        strategy: a name of `autodl.nas.strategies` ("darts", "enas", "evolution", ...) or a strategy.
        cost: what an architecture costs: "params" (their number), "macs" (multiply-adds for an image),
            "latency" (milliseconds an image, by layer, as measured on this device first), or what makes a
            cost model of a space.
        target: the cost that is aimed at: the reward is accuracy * (cost / target) ** -0.07 (MnasNet).
        objective: another trade of accuracy and cost, of `autodl.nas.objectives`.
        share: of the time limit, that the search may take, in (0, 1).

    Example::

        nas = {"strategy": "proxyless", "cost": "latency", "target": 2.0}
        ImageClassification.fit(data, net="proxyless", nas=nas)
    """

    strategy: str | Strategy = "darts"
    cost: str | CostOf | None = None
    target: float | None = None
    objective: Objective | None = None
    share: float = 0.4

    def __post_init__(self) -> None:
        get_strategy(self.strategy)
        if isinstance(self.cost, str) and self.cost not in COSTS:
            raise UnknownNameError("cost", self.cost, COSTS)
        if self.cost is not None and not (isinstance(self.cost, str) or callable(self.cost)):
            raise OptionError(
                f"cost is one of {', '.join(COSTS)}, or makes a cost of a space, got {self.cost!r}"
            )
        if not isinstance(self.share, int | float) or not 0 < self.share < 1:
            raise OptionError(
                f"share is the part of the time limit for the search, in (0, 1), got {self.share!r}"
            )
        if self.target is not None and self.objective is not None:
            raise OptionError("target and objective both say how cost counts; give one of them")
        if self.cost is None and (self.target is not None or self.objective is not None):
            raise OptionError(f"a target or an objective needs a cost: one of {', '.join(COSTS)}")
        self.weighed()

    @property
    def name(self) -> str:
        """The strategy's."""
        return str(getattr(self.made, "name", type(self.made).__name__))

    @property
    def made(self) -> Strategy:
        """The strategy."""
        return get_strategy(self.strategy)

    @property
    def cost_name(self) -> str | None:
        """The cost's, for people."""
        return (
            self.cost
            if self.cost is None or isinstance(self.cost, str)
            else getattr(self.cost, "__name__", "cost")
        )

    def weighed(self) -> Objective | None:
        """What the strategy makes best; None: the accuracy alone."""
        return self.objective if self.target is None else Power(float(self.target))

    def cost_model(
        self, space: Space, shape: tuple[int, int, int], device: torch.device, cache: Path
    ) -> Cost | None:
        """The cost model for a space.

        Args:
            space: that is searched.
            shape: of an image, (channels, height, width).
            device: that latency is measured on.
            cache: file for measured latencies.
        """
        if callable(self.cost):
            return self.cost(space)
        if self.cost == "params":
            return Params(space)
        if self.cost == "macs":
            return MACs(space, shape)
        return None if self.cost is None else LatencyTable(space, shape, device=device, cache=cache)


def as_nas_options(value: Any) -> NASOptions | None:
    """Options from themselves, a strategy or its name, or a dict of their fields; None stays None.

    Raises:
        OptionError: none of these.
    """
    if value is None or isinstance(value, NASOptions):
        return value
    if isinstance(value, dict):
        known = tuple(f.name for f in fields(NASOptions))
        for name in value:
            if name not in known:
                raise UnknownNameError("field of NASOptions", name, known)
        return replace(NASOptions(), **value)
    return NASOptions(value)
