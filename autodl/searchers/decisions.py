"""A space as a list of decisions between few options, for policies that choose one option each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from autodl.spaces import Int, Real
from autodl.spaces.base import from_bin
from autodl.spaces.categorical import same
from autodl.spaces.search_space import Parameter, SearchSpace
from autodl.trial import Config, Value

Chooser = Callable[[int], int]
"""From the number of a decision to the option that is taken."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One parameter as a choice between options.

    Attributes:
        parameter: choices and booleans have an option for each value, and so have integers with
            few; all other numbers are cut into bins that are equally wide in the unit interval.
        count: the number of options.
        values: the options; None: they are bins.
    """

    parameter: Parameter
    count: int
    values: tuple[Value, ...] | None

    def value(self, option: int, rng: np.random.Generator) -> Value:
        """The value of an option; inside a bin it is drawn."""
        if self.values is not None:
            return self.values[option]
        return self.parameter.domain.from_unit((option + float(rng.random())) / self.count)

    def option(self, value: Value) -> int:
        """The option that a value belongs to."""
        if self.values is not None:
            return next(i for i, other in enumerate(self.values) if same(other, value))
        return from_bin(self.parameter.domain.to_unit(value), self.count)


class Decisions:
    """All decisions of a space, those that others depend on first.

    Args:
        space: what configs belong to.
        bins: options of a number.

    Attributes:
        counts: options of each decision.
    """

    def __init__(self, space: SearchSpace, bins: int) -> None:
        self._decisions = [_decision(parameter, bins) for parameter in space.parameters]
        self.counts = tuple(decision.count for decision in self._decisions)

    def decode(self, choose: Chooser, rng: np.random.Generator) -> tuple[Config, list[int]]:
        """A config, option by option.

        Args:
            choose: called for active decisions only, in their order.
            rng: where a number lies inside its bin.

        Returns:
            the config, and the option of each decision, -1 where inactive.
        """
        config: Config = {}
        options: list[int] = []
        for number, decision in enumerate(self._decisions):
            option = -1
            if decision.parameter.is_active(config):
                option = choose(number)
                config[decision.parameter.label] = decision.value(option, rng)
            options.append(option)
        return config, options

    def encode(self, config: Config) -> list[int]:
        """The option of each decision, -1 where inactive."""
        return [
            d.option(config[d.parameter.label]) if d.parameter.label in config else -1
            for d in self._decisions
        ]


def _decision(parameter: Parameter, bins: int) -> Decision:
    size, is_number = parameter.domain.size, isinstance(parameter.domain, Int | Real)
    if size is not None and (size <= bins or not is_number):
        return Decision(parameter, size, tuple(parameter.domain.values()))
    return Decision(parameter, bins, None)
