"""The flat form of a space, and counting its configs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from autodl.errors import SpaceError
from autodl.spaces.base import Config, Domain, Value
from autodl.spaces.categorical import same
from autodl.spaces.nested import Conditions


@dataclass(frozen=True, slots=True)
class Parameter:
    """One label of a config.

    Attributes:
        label: its name in the config, ``net/ResNet/depth``.
        domain: its values; a `Categorical` here holds scalars only.
        conditions: (label, value) of every choice that must be made for this label to be active,
            outermost first; empty: always active.
    """

    label: str
    domain: Domain
    conditions: Conditions = ()

    def is_active(self, config: Mapping[str, Value]) -> bool:
        """True if the config makes all choices that this parameter depends on."""
        return all(label in config and same(config[label], value) for label, value in self.conditions)


def count_configs(parameters: Sequence[Parameter]) -> int | None:
    """The number of different configs; None: infinitely many.

    Args:
        parameters: parents before what depends on them.
    """
    children: dict[str, dict[Value, list[Parameter]]] = {}
    for p in parameters:
        if p.conditions:
            label, value = p.conditions[-1]
            children.setdefault(label, {}).setdefault(value, []).append(p)

    def count(parameter: Parameter) -> int | None:
        branches = children.get(parameter.label, {})
        if not branches:
            return parameter.domain.size
        sizes = [product(branches.get(value, [])) for value in parameter.domain.values()]
        return None if None in sizes else sum(s for s in sizes if s is not None)

    def product(together: list[Parameter]) -> int | None:
        sizes = [count(p) for p in together]
        return None if None in sizes else math.prod(s for s in sizes if s is not None)

    return product([p for p in parameters if not p.conditions])


def enumerate_configs(parameters: Sequence[Parameter]) -> Iterator[Config]:
    """All configs, one at a time, the last label changing fastest.

    Args:
        parameters: parents before what depends on them.

    Raises:
        SpaceError: there are infinitely many.
    """
    infinite = [p.label for p in parameters if p.domain.size is None]
    if infinite:
        raise SpaceError(f"the search space is infinite: real values in {', '.join(infinite)}")
    return _odometer(parameters)


def _odometer(parameters: Sequence[Parameter]) -> Iterator[Config]:
    """Without recursion: spaces of networks can have thousands of labels."""
    wheels: list[Iterator[Value] | None] = []  # None: the parameter is inactive
    config: Config = {}
    while True:
        for p in parameters[len(wheels) :]:
            wheel = p.domain.values() if p.is_active(config) else None
            wheels.append(wheel)
            if wheel is not None:
                config[p.label] = next(wheel)
        yield dict(config)
        while wheels and not _turn(parameters[len(wheels) - 1], wheels[-1], config):
            wheels.pop()
        if not wheels:
            return


def _turn(parameter: Parameter, wheel: Iterator[Value] | None, config: Config) -> bool:
    """Move one parameter to its next value; False, and the label removed, after the last."""
    if wheel is None:
        return False
    for value in wheel:
        config[parameter.label] = value
        return True
    del config[parameter.label]
    return False
