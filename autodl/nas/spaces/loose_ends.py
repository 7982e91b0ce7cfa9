"""Cells whose output is all states that nothing in them reads, and modules that read such an output.

Which states are loose follows from the input decisions of a cell. A reader therefore takes part in
these decisions: its weights have a slice for every state, of which an architecture uses those of
the loose ones. In plans that mix inputs, each state counts with the probability that it is loose.

Source: B. Zoph et al., NASNet, CVPR 2018, appendix A.1 ("all of the unused hidden states are
concatenated"); shared weights for them: H. Pham et al., ENAS, ICML 2018, section 2.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from autodl.nas.decisions import Conjunction, Decision
from autodl.nas.plans import Chosen, DecisionModule, Gate, check_weights, position
from autodl.nas.realise import placed_like
from autodl.nas.spaces.ops import FactorizedReduce, ReLUConvBN, one_pixel_off
from autodl.spaces import Value


class LooseReader(DecisionModule):
    """Base of what reads a cell's states.

    Args:
        inputs: the input decisions of the cell; their choices are positions of states.
        states: how many the cell has, its inputs included.
        width: channels of each.
    """

    def __init__(self, inputs: Sequence[Decision], states: int, width: int) -> None:
        super().__init__()
        self.inputs = tuple(inputs)
        self.states, self.width = states, width

    def decisions(self) -> tuple[Decision, ...]:
        """The cell's, which decide what is loose."""
        return self.inputs

    def kept(self, arch: Mapping[str, Value]) -> list[int]:
        """Positions of the loose states of an architecture."""
        read = {arch[decision.label] for decision in self.inputs}
        return [state for state in range(self.states) if state not in read]

    def state_guards(self, parts: Iterable[nn.Module]) -> list[tuple[nn.Module, Conjunction]]:
        """A part for each state, and what must be chosen for that state to be loose."""
        return [
            (part, tuple((d.label, tuple(c for c in d.choices if c != state)) for d in self.inputs))
            for state, part in enumerate(parts)
        ]

    def loose(self) -> tuple[list[int], list[Tensor] | None]:
        """Positions of states that can be loose in this call; each one's chance to be, where inputs mix."""
        read: set[int] = set()
        chances: list[Tensor] | None = None
        for decision in self.inputs:
            selection = self.selection(decision.label)
            if isinstance(selection, Chosen):
                read.add(position(decision.label, decision.choices, selection.value))
            elif isinstance(selection, Gate):
                read.add(selection.active)
            else:
                weights = selection.weights
                check_weights(decision.label, len(decision.choices), weights)
                chances = chances or [weights.new_ones(())] * self.states
                chances = [
                    chance * (1 - weights[state]) if state < len(weights) else chance
                    for state, chance in enumerate(chances)
                ]
        places = [state for state in range(self.states) if state not in read]
        return places, chances

    def picked(self, states: Sequence[Tensor]) -> tuple[list[Tensor], list[int]]:
        """The loose states and their positions; where inputs mix, all, weighted by their chances."""
        places, chances = self.loose()
        if chances is None:
            return [states[place] for place in places], places
        return [chances[place].to(states[place].device) * states[place] for place in places], places


class Picked(nn.Module):
    """What a reader is in a realised network: some states, concatenated, then another module.

    Args:
        places: positions of the states.
        then: what reads them.
    """

    def __init__(self, places: Sequence[int], then: nn.Module) -> None:
        super().__init__()
        self.places = tuple(places)
        self.then = then

    def extra_repr(self) -> str:
        """The positions."""
        return f"places={self.places}"

    def forward(self, states: Sequence[Tensor]) -> Tensor:
        """The other module's output."""
        out: Tensor = self.then(torch.cat([states[place] for place in self.places], dim=1))
        return out


class _StateConv(nn.Module):
    """One state's share of a pointwise convolution, or of the two of a `FactorizedReduce`."""

    def __init__(self, c_in: int, c_out: int, halve: bool) -> None:
        super().__init__()
        stride = 2 if halve else 1
        first = c_out - c_out // 2 if halve else c_out
        self.even = nn.Conv2d(c_in, first, 1, stride, bias=False)
        self.odd = nn.Conv2d(c_in, c_out // 2, 1, stride, bias=False) if halve else None

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)
        out: Tensor = self.even(x)
        return out if self.odd is None else torch.cat([out, self.odd(one_pixel_off(x))], dim=1)


class LooseConv(LooseReader):
    """ReLU, pointwise convolution and batch normalisation of the loose states.

    Args:
        inputs: see `LooseReader`.
        states: see `LooseReader`.
        width: see `LooseReader`.
        c_out: channels made.
        halve: the map is halved, as `FactorizedReduce` does it.
        affine: whether the normalisation has a scale and a shift.
    """

    def __init__(  # what it reads and what it makes
        self,
        inputs: Sequence[Decision],
        states: int,
        width: int,
        c_out: int,
        *,
        halve: bool,
        affine: bool,
    ) -> None:
        super().__init__(inputs, states, width)
        self.c_out, self.halve, self.affine = c_out, halve, affine
        self.convs = nn.ModuleList(_StateConv(width, c_out, halve) for _ in range(states))
        self.norm = nn.BatchNorm2d(c_out, affine=affine)

    def guards(self) -> Iterable[tuple[nn.Module, Conjunction]]:
        """A state's convolution runs where the state is loose."""
        return [*self.state_guards(self.convs), (self.norm, ())]

    def forward(self, states: Sequence[Tensor]) -> Tensor:
        """States (n, width, h, w) -> (n, c_out, h, w), or half of h and w."""
        used, places = self.picked(states)
        total = self.convs[places[0]](used[0])
        for state, place in zip(used[1:], places[1:], strict=True):
            total = total + self.convs[place](state)
        out: Tensor = self.norm(total)
        return out

    def realised(self, arch: Mapping[str, Value], *, fresh: bool) -> nn.Module:
        """An ordinary convolution of the loose states."""
        places = self.kept(arch)
        c_in = len(places) * self.width
        made = (
            FactorizedReduce(c_in, self.c_out, self.affine)
            if self.halve
            else ReLUConvBN(c_in, self.c_out, affine=self.affine)
        )
        if not fresh:
            state = self._merged(places, ("even", "odd") if self.halve else ("1",))
            norm = "norm" if self.halve else "2"
            state |= {f"{norm}.{name}": tensor for name, tensor in self.norm.state_dict().items()}
            made.load_state_dict(state)
        return Picked(places, placed_like(made, self))

    def _merged(self, places: Sequence[int], names: Sequence[str]) -> dict[str, Tensor]:
        merged = {}
        for name, own in zip(names, ("even.weight", "odd.weight"), strict=False):
            parts = [self.convs[place].state_dict()[own] for place in places]
            merged[f"{name}.weight"] = torch.cat(parts, dim=1)
        return merged


class _PooledReLU(nn.Module):
    """(n, c, h, w) -> (n, c)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x).mean((2, 3))


class LoosePool(LooseReader):
    """ReLU and mean over the map of the loose states: a network's features."""

    def forward(self, states: Sequence[Tensor]) -> Tensor:
        """States (n, width, h, w) -> (n, loose * width)."""
        used, _ = self.picked(states)
        return F.relu(torch.cat(used, dim=1)).mean((2, 3))

    def realised(self, arch: Mapping[str, Value], *, fresh: bool) -> nn.Module:
        """Of the loose states."""
        return Picked(self.kept(arch), _PooledReLU()).train(self.training)


class LooseLinear(LooseReader):
    """The linear head on what `LoosePool` gives.

    Args:
        inputs: see `LooseReader`.
        states: see `LooseReader`.
        width: see `LooseReader`.
        num_classes: logits.
    """

    def __init__(self, inputs: Sequence[Decision], states: int, width: int, num_classes: int) -> None:
        super().__init__(inputs, states, width)
        whole = nn.Linear(states * width, num_classes)  # whose initial weights are the parts'
        self.bias = whole.bias
        self.parts = nn.ModuleList()
        for weight in torch.split(whole.weight.detach(), width, dim=1):
            part = nn.Linear(width, num_classes, bias=False)
            part.load_state_dict({"weight": weight})
            self.parts.append(part)

    def guards(self) -> Iterable[tuple[nn.Module, Conjunction]]:
        """A state's part runs where the state is loose."""
        return self.state_guards(self.parts)

    def forward(self, x: Tensor) -> Tensor:
        """(n, loose * width) -> logits (n, num_classes)."""
        places, _ = self.loose()
        total = self.bias
        for place, features in zip(places, torch.split(x, self.width, dim=1), strict=True):
            total = total + self.parts[place](features)
        return total

    def realised(self, arch: Mapping[str, Value], *, fresh: bool) -> nn.Module:
        """An ordinary linear layer."""
        places = self.kept(arch)
        made = nn.Linear(len(places) * self.width, len(self.bias))
        if not fresh:
            weights = [self.parts[place].state_dict()["weight"] for place in places]
            made.load_state_dict({"weight": torch.cat(weights, dim=1), "bias": self.bias})
        return placed_like(made, self)
