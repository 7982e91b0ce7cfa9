"""Cells whose output is all states that nothing in them reads, and modules that read such an output.

Which states are loose follows from the input decisions of a cell. A reader therefore takes part in
these decisions: its weights have a slice for every state, of which an architecture uses those of
the loose ones. In plans that mix inputs, each state counts with the probability that it is loose.

Source: B. Zoph et al., NASNet, CVPR 2018, appendix A.1 ("all of the unused hidden states are
concatenated"); shared weights for them: H. Pham et al., ENAS, ICML 2018, section 2.4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from autodl.nas.decisions import Decision
from autodl.nas.plans import Chosen, DecisionModule, Gate, check_weights, position
from autodl.nas.spaces.ops import FactorizedReduce, ReLUConvBN
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

    def columns(self, places: Sequence[int]) -> list[int]:
        """Channels of some states in the concatenation of all."""
        return [state * self.width + channel for state in places for channel in range(self.width)]


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
        self.body = self._make(states * width)

    def _make(self, c_in: int) -> FactorizedReduce | ReLUConvBN:
        if self.halve:
            return FactorizedReduce(c_in, self.c_out, self.affine)
        return ReLUConvBN(c_in, self.c_out, affine=self.affine)

    def forward(self, states: Sequence[Tensor]) -> Tensor:
        """States (n, width, h, w) -> (n, c_out, h, w), or half of h and w."""
        used, places = self.picked(states)
        columns = self.columns(places)
        x = F.relu(torch.cat(used, dim=1))
        if isinstance(self.body, ReLUConvBN):
            _, conv, norm = self.body
            assert isinstance(conv, nn.Conv2d)
            out: Tensor = norm(F.conv2d(x, conv.weight[:, columns]))
            return out
        shifted = F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        even = F.conv2d(x, self.body.even.weight[:, columns], stride=2)
        odd = F.conv2d(shifted, self.body.odd.weight[:, columns], stride=2)
        out = self.body.norm(torch.cat([even, odd], dim=1))
        return out

    def realised(self, arch: Mapping[str, Value], *, fresh: bool) -> nn.Module:
        """An ordinary convolution of the loose states."""
        places = self.kept(arch)
        made = self._make(len(places) * self.width)
        if not fresh:
            columns = self.columns(places)
            state = self.body.state_dict()
            cut = {name: t[:, columns] if t.ndim == 4 else t for name, t in state.items()}
            made.load_state_dict(cut)
        return Picked(places, _like(made, self))


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
        made = nn.Linear(states * width, num_classes)
        self.weight, self.bias = made.weight, made.bias

    def forward(self, x: Tensor) -> Tensor:
        """(n, loose * width) -> logits (n, num_classes)."""
        places, _ = self.loose()
        return F.linear(x, self.weight[:, self.columns(places)], self.bias)

    def realised(self, arch: Mapping[str, Value], *, fresh: bool) -> nn.Module:
        """An ordinary linear layer."""
        columns = self.columns(self.kept(arch))
        made = nn.Linear(len(columns), len(self.bias))
        if not fresh:
            with torch.no_grad():
                made.weight.copy_(self.weight[:, columns])
                made.bias.copy_(self.bias)
        return _like(made, self)


def _like(made: nn.Module, original: nn.Module) -> nn.Module:
    """On the original's device, in its type and mode."""
    tensor = next(original.parameters())
    return made.to(device=tensor.device, dtype=tensor.dtype).train(original.training)
