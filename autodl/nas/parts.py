"""The ordinary parts of a network with open decisions, and what must be chosen for each to run.

Costs add up over parts. A part's conjunction turns that sum into a function of an architecture, and,
where decisions are drawn independently, into an expectation with gradients.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from autodl.errors import OptionError
from autodl.nas.choices import InputChoice
from autodl.nas.decisions import Conjunction, both, find, holds
from autodl.nas.elastic import Elastic, ElasticModule
from autodl.nas.plans import Chosen, DecisionModule, Plan, Selection, Weighted, active
from autodl.nas.realise import with_all_labels
from autodl.nas.space import Space
from autodl.spaces import Value


@dataclass(frozen=True, slots=True)
class Part:
    """A module without decisions of its own, or an elastic layer.

    Attributes:
        name: where it stands in the super-net, as in `named_modules`.
        module: the part.
        under: what must be chosen for it to run.
    """

    name: str
    module: nn.Module
    under: Conjunction


@dataclass(frozen=True, slots=True)
class Contribution:
    """An amount that counts where a conjunction holds."""

    under: Conjunction
    amount: float


class CostTable:
    """A sum of contributions: of an architecture, or expected.

    Args:
        space: whose decisions the conjunctions name.
        contributions: what is added up.
        fixed: what every architecture costs.
    """

    def __init__(self, space: Space, contributions: Sequence[Contribution], fixed: float = 0.0) -> None:
        self._decisions = space.decisions()
        merged: dict[Conjunction, float] = {}
        for part in contributions:
            merged[part.under] = merged.get(part.under, 0.0) + part.amount
        self.fixed = fixed + merged.pop((), 0.0)
        self.contributions = tuple(Contribution(under, amount) for under, amount in merged.items())

    def cost(self, arch: Mapping[str, Value]) -> float:
        """The cost of an architecture, which must be complete; inactive labels may be absent."""
        full = with_all_labels(arch, self._decisions)
        return self.fixed + sum(part.amount for part in self.contributions if holds(part.under, full))

    def expected(self, probs: Mapping[str, Tensor]) -> Tensor:
        """The mean cost of architectures whose decisions are drawn independently.

        Args:
            probs: label -> (choices,), sums to 1; gradients flow into them.

        Returns:
            ()

        Raises:
            OptionError: a label that costs depend on is missing.
        """
        missing = {label for part in self.contributions for label, _ in part.under} - probs.keys()
        if missing:
            names = ", ".join(sorted(missing))
            raise OptionError(f"the cost depends on {len(missing)} labels without probabilities: {names}")
        total = torch.as_tensor(self.fixed)
        for part in self.contributions:
            chance = torch.ones(())
            for label, allowed in part.under:
                places = [find(self._decisions[label].choices, value) for value in allowed]
                chance = chance * probs[label][places].sum()
            total = total + part.amount * chance
        return total


def parts_of(net: nn.Module, name: str = "", under: Conjunction = ()) -> Iterator[Part]:
    """The largest modules without decisions, and elastic layers, each with its condition."""
    if isinstance(net, ElasticModule):
        yield Part(name, net, under)
        return
    names = {id(child): child_name for child_name, child in net.named_modules()}
    if isinstance(net, DecisionModule):
        for child, condition in net.guards():
            yield from parts_of(child, _joined(name, names[id(child)]), both(under, condition))
    elif not any(isinstance(module, DecisionModule) for module in net.modules()):
        yield Part(name, net, under)
    else:
        for child_name, child in net.named_children():
            yield from parts_of(child, _joined(name, child_name), under)


def _joined(first: str, second: str) -> str:
    return f"{first}.{second}" if first else second


def sizes_of(part: Part) -> Iterator[tuple[Conjunction, nn.Module]]:
    """The part's ordinary modules: itself, or an elastic layer at every combination of its sizes."""
    module = part.module
    if not isinstance(module, ElasticModule):
        yield part.under, module
        return
    elastics = {s.label: s for s in module.open_sizes() if isinstance(s, Elastic)}
    for values in itertools.product(*(elastic.choices for elastic in elastics.values())):
        arch = dict(zip(elastics, values, strict=True))
        chosen: Conjunction = tuple((label, (value,)) for label, value in arch.items())
        under = both(part.under, chosen)
        if all(allowed for _, allowed in under):
            yield under, module.realised(arch, fresh=True)


def everything(net: nn.Module) -> Plan:
    """A plan under which every part runs; inputs, which cost nothing, are chosen anyhow."""
    selections: dict[str, Selection] = {}
    for module in net.modules():
        if not isinstance(module, DecisionModule):
            continue
        for decision in module.decisions():
            count = len(decision.choices)
            if isinstance(module, InputChoice):  # unless another module's parts depend on it, too
                selections.setdefault(decision.label, Chosen(decision.choices[-1]))
            else:
                selections[decision.label] = Weighted(torch.full((count,), 1 / count))
    return Plan(selections)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a module: what it read, and what it made."""

    args: tuple[Tensor, ...]
    output: Tensor


def traced(net: nn.Module, modules: Sequence[nn.Module], inputs: Tensor) -> dict[int, list[Call]]:
    """What each module reads and makes when all of the network runs once.

    Args:
        net: a super-net or an ordinary network.
        modules: which to listen to.
        inputs: (n, ...), a batch for the network.

    Returns:
        id of the module -> its calls.
    """
    calls: dict[int, list[Call]] = {}

    def listen(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        calls.setdefault(id(module), []).append(Call(args, output))

    handles = [module.register_forward_hook(listen) for module in modules]
    was_training = net.training
    try:
        with torch.no_grad(), active(net.eval(), everything(net)):
            net(inputs)
    finally:
        net.train(was_training)
        for handle in handles:
            handle.remove()
    return calls
