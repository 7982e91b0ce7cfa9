"""A unit whose arguments are open: every variant is built, each argument is a decision of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from torch import nn

from autodl.errors import SpaceError
from autodl.nas.decisions import Conjunction, Decision, holds
from autodl.nas.mixing import mix, run_gated
from autodl.nas.plans import Chosen, DecisionModule, Gate, position
from autodl.spaces import Value
from autodl.spaces.categorical import same

Variant = tuple[Mapping[str, Value], nn.Module]
"""label -> choice, and the module that it makes."""


class UnitChoice(DecisionModule):
    """One of the variants of a unit, told by several decisions together.

    Plans that mix do so argument by argument: a variant's weight is the product of its choices'.

    Args:
        decisions: of the unit's arguments, those that others depend on first.
        variants: each with a choice for its active decisions; together all there are.

    Raises:
        SpaceError: no decisions, or two variants of one architecture.
    """

    def __init__(self, decisions: Sequence[Decision], variants: Sequence[Variant]) -> None:
        super().__init__()
        if not decisions or not variants:
            raise SpaceError("UnitChoice needs decisions and variants")
        self._decided = tuple(decisions)
        self.configs = tuple(dict(config) for config, _ in variants)
        for number, config in enumerate(self.configs):
            if any(_equal(config, other) for other in self.configs[:number]):
                raise SpaceError(f"UnitChoice got two variants for {config}")
        self.variants = nn.ModuleList(module for _, module in variants)

    def extra_repr(self) -> str:
        """What is open."""
        return ", ".join(f"{d.label}={list(d.choices)}" for d in self._decided)

    def decisions(self) -> tuple[Decision, ...]:
        """One an argument."""
        return self._decided

    def guards(self) -> Iterable[tuple[nn.Module, Conjunction]]:
        """A variant runs where all its choices are made."""
        for config, module in zip(self.configs, self.variants, strict=True):
            yield module, tuple((label, (value,)) for label, value in config.items())

    def realised(self, arch: Mapping[str, Value], *, fresh: bool) -> nn.Module:
        """The chosen variant."""
        chosen: dict[str, Value] = {}
        for decision in self._decided:
            if decision.is_active(chosen):
                chosen[decision.label] = arch[decision.label]
        return self._variant(chosen)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The chosen variant's output, or a mixture of outputs."""
        return self._run({}, 0, lambda module: module(*args, **kwargs))

    def _run(self, chosen: dict[str, Value], start: int, call: Callable[[nn.Module], Any]) -> Any:
        for number, decision in enumerate(self._decided[start:], start):
            if not decision.is_active(chosen):
                continue
            label, choices = decision.label, decision.choices
            selection = self.selection(label)
            if isinstance(selection, Chosen):
                value = choices[position(label, choices, selection.value)]
                return self._run({**chosen, label: value}, number + 1, call)
            runs = [partial(self._run, {**chosen, label: value}, number + 1, call) for value in choices]
            if isinstance(selection, Gate):
                return run_gated(label, runs, selection)
            return mix(label, runs, selection.weights)
        return call(self._variant(chosen))

    def _variant(self, chosen: Mapping[str, Value]) -> nn.Module:
        wanted = tuple((label, (value,)) for label, value in chosen.items())
        for config, module in zip(self.configs, self.variants, strict=True):
            if len(config) == len(chosen) and holds(wanted, config):
                return module
        raise SpaceError(f"UnitChoice has no variant for {dict(chosen)}")


def _equal(a: Mapping[str, Value], b: Mapping[str, Value]) -> bool:
    return a.keys() == b.keys() and all(same(a[label], b[label]) for label in a)
