"""Costs of architectures that can be counted: parameters and multiply-adds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from autodl.nas.elastic import ElasticModule
from autodl.nas.parts import Contribution, CostTable, Part, parts_of, sizes_of, traced
from autodl.nas.space import Space
from autodl.spaces import Value


class Cost(Protocol):
    """What an architecture costs."""

    def cost(self, arch: Mapping[str, Value]) -> float:
        """The cost of one architecture, in the cost's unit."""


class ExpectedCost(Cost, Protocol):
    """A cost that adds up over decisions, so that gradient methods can lower it."""

    def expected(self, probs: Mapping[str, Tensor]) -> Tensor:
        """The mean cost where each decision is drawn from its probabilities, with gradients.

        Args:
            probs: label -> (choices,), sums to 1.
        """


class Params:
    """Numbers of parameters, of the modules that an architecture runs.

    Args:
        space: of the architectures. In a `when` of the user's own, an inactive size counts as its
            first choice.

    Example:
        >>> from autodl.nas import OpChoice
        >>> op = OpChoice({"linear": nn.Linear(2, 2), "skip": nn.Identity()}, label="op")
        >>> Params(Space(op)).cost({"op": "linear"})
        6.0
    """

    def __init__(self, space: Space) -> None:
        net = space.supernet()
        parts = list(parts_of(net))
        found = [
            Contribution(under, float(sum(p.numel() for p in module.parameters())))
            for part in parts
            for under, module in sizes_of(part)
        ]
        inside = {id(p) for part in parts for p in part.module.parameters()}
        loose = sum(p.numel() for p in net.parameters() if id(p) not in inside)
        self._table = CostTable(space, found, float(loose))

    def cost(self, arch: Mapping[str, Value]) -> float:
        """Parameters of an architecture."""
        return self._table.cost(arch)

    def expected(self, probs: Mapping[str, Tensor]) -> Tensor:
        """The mean number of parameters, see `ExpectedCost.expected`."""
        return self._table.expected(probs)


class MACs:
    """Multiply-adds of convolutions and linear layers for one input, in millions.

    Args:
        space: of the architectures.
        input_shape: of one input, (channels, height, width).
    """

    def __init__(self, space: Space, input_shape: tuple[int, ...]) -> None:
        net = space.supernet()
        parts = list(parts_of(net))
        counted = [leaf for part in parts for leaf in _leaves(part)]
        calls = traced(net, counted, torch.zeros(1, *input_shape))
        found = []
        for part in parts:
            for under, module in sizes_of(part):
                amount = 0.0
                for leaf, made in zip(_leaves(part), _leaves(Part("", module, ())), strict=True):
                    amount += sum(multiply_adds(made, call.output) for call in calls.get(id(leaf), []))
                found.append(Contribution(under, amount / 1e6))
        self._table = CostTable(space, found)

    def cost(self, arch: Mapping[str, Value]) -> float:
        """Millions of multiply-adds of an architecture."""
        return self._table.cost(arch)

    def expected(self, probs: Mapping[str, Tensor]) -> Tensor:
        """The mean number, see `ExpectedCost.expected`."""
        return self._table.expected(probs)


def _leaves(part: Part) -> list[nn.Module]:
    """The modules of a part that multiply; an elastic layer itself."""
    module = part.module
    if isinstance(module, ElasticModule) or not any(True for _ in module.children()):
        return [module]
    return [leaf for leaf in module.modules() if isinstance(leaf, nn.Conv2d | nn.Linear)]


def multiply_adds(module: nn.Module, output: Tensor) -> float:
    """Multiply-adds of one call.

    Args:
        module: an ordinary layer.
        output: (1, out, ...) of this layer, or of a wider one: its places count, not its channels.
    """
    if isinstance(module, nn.Conv2d):
        places = output.shape[-2] * output.shape[-1]
        return float(places * module.weight.numel())
    if isinstance(module, nn.Linear):
        places = output.numel() // output.shape[-1]
        return float(places * module.weight.numel())
    return 0.0
