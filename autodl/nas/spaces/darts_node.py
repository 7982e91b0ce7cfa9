"""Nodes of DARTS cells: the sum of two of all earlier nodes, or, relaxed, of all."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from torch import Tensor, nn

from autodl.errors import PlanError
from autodl.nas.choices import OpChoice
from autodl.nas.decisions import Conjunction, Decision
from autodl.nas.mixing import run_gated
from autodl.nas.plans import Chosen, DecisionModule, Gate, check_weights, position
from autodl.spaces import Value


class SumOfEdges(nn.Module):
    """``sum_i op_i(state_i)`` over some of the earlier states.

    Args:
        sources: positions of the states that are read.
        ops: one for each of these.
    """

    def __init__(self, sources: Sequence[int], ops: Sequence[nn.Module]) -> None:
        super().__init__()
        self.sources = tuple(sources)
        self.ops = nn.ModuleList(ops)

    def extra_repr(self) -> str:
        """What it reads."""
        return f"sources={self.sources}"

    def forward(self, states: Sequence[Tensor]) -> Tensor:
        """The sum."""
        total: Tensor = self.ops[0](states[self.sources[0]])
        for source, op in zip(self.sources[1:], self.ops[1:], strict=True):
            total = total + op(states[source])
        return total


class PairNode(DecisionModule):
    """The sum of edges from two of all earlier states; which two is a decision ("0+1", "0+2", ...).

    In plans that mix pairs, an edge counts with the probability that its state is one of the two,
    so that a mixture is the exact expectation over pairs and operations.

    Args:
        edges: an operation for each earlier state, at least two.
        label: of the decision; with two states there is none.
    """

    def __init__(self, edges: Sequence[OpChoice], *, label: str) -> None:
        super().__init__()
        self.label = label
        self.edges = nn.ModuleList(edges)
        self.pairs = list(itertools.combinations(range(len(edges)), 2))
        self.names = tuple(f"{i}+{j}" for i, j in self.pairs)

    def decisions(self) -> tuple[Decision, ...]:
        """The pair, if there is more than one."""
        return (Decision(self.label, self.names),) if len(self.pairs) > 1 else ()

    def guards(self) -> Iterable[tuple[nn.Module, Conjunction]]:
        """An edge runs if its state is chosen."""
        for number, edge in enumerate(self.edges):
            names = tuple(n for n, pair in zip(self.names, self.pairs, strict=True) if number in pair)
            yield edge, ((self.label, names),) if len(self.pairs) > 1 else ()

    def realised(self, arch: Mapping[str, Value], *, fresh: bool) -> nn.Module:
        """The sum of the two."""
        pair = self.pairs[position(self.label, self.names, arch[self.label]) if len(self.pairs) > 1 else 0]
        return SumOfEdges(pair, [self.edges[number] for number in pair])

    def forward(self, states: Sequence[Tensor]) -> Tensor:
        """The sum of two edges, or of all, weighted."""
        if len(self.pairs) == 1:
            return self._sum(states, self.pairs[0])
        selection = self.selection(self.label)
        if isinstance(selection, Chosen):
            return self._sum(states, self.pairs[position(self.label, self.names, selection.value)])
        if isinstance(selection, Gate):
            return run_gated(self.label, [partial(self._sum, states, pair) for pair in self.pairs], selection)
        numbers = check_weights(self.label, len(self.pairs), selection.weights)
        total: Tensor | None = None
        for number, edge in enumerate(self.edges):
            places = [at for at, pair in enumerate(self.pairs) if number in pair]
            if any(numbers[at] != 0 for at in places):
                part = selection.weights[places].sum().to(states[number].device) * edge(states[number])
                total = part if total is None else total + part
        if total is None:
            raise PlanError(f"all weights of the plan for {self.label!r} are 0")
        return total

    def _sum(self, states: Sequence[Tensor], pair: tuple[int, int]) -> Tensor:
        first, second = pair
        total: Tensor = self.edges[first](states[first]) + self.edges[second](states[second])
        return total
