"""The space of the first search with reinforcement learning: a chain of convolutions.

Source: B. Zoph, Q. Le, "Neural Architecture Search with Reinforcement Learning", ICLR 2017,
sections 3.3 and 4.1.

Departures: a layer always reads the one before it, and skips add others; all choices share their
weights in a super-net, which a filter's size and number cut out of the largest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from autodl.checks import check_whole
from autodl.errors import OptionError
from autodl.nas.choices import OpChoice
from autodl.nas.decisions import Arch, Conjunction, Decision
from autodl.nas.elastic import Elastic, Size
from autodl.nas.elastic_layers import ElasticBatchNorm2d, ElasticLinear
from autodl.nas.mixing import run_gated
from autodl.nas.picture import Chain, Picture, Step
from autodl.nas.plans import Chosen, DecisionModule, Gate, check_weights, position
from autodl.nas.space_factory import PublishedSpace, as_tuples
from autodl.nas.spaces.chain_conv import RectConv2d
from autodl.nas.spaces.frame import as_classifier, small_stem
from autodl.nas.spaces.mobile_network import FIRST_MAP
from autodl.spaces import Value

_BITS: tuple[Value, ...] = (False, True)


class Subsample(nn.Module):
    """Every so manieth pixel: a convolution followed by it is one with that stride.

    Args:
        stride: in pixels.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c, ceil(h / stride), ceil(w / stride))."""
        return x[:, :, :: self.stride, :: self.stride]


class SumOfConvs(nn.Module):
    """Convolutions of several states, added: one convolution of their concatenation.

    Smaller maps are padded with zeros to the size of the largest.

    Args:
        places: positions of the states that are read.
        convs: one for each.
    """

    def __init__(self, places: Sequence[int], convs: Sequence[nn.Module]) -> None:
        super().__init__()
        self.places, self.convs = tuple(places), nn.ModuleList(convs)

    def forward(self, states: Sequence[Tensor]) -> Tensor:
        """States, the last of which is the layer before -> (n, out, h, w)."""
        return padded_sum([states[place] for place in self.places], list(self.convs), None)


def padded_sum(
    states: Sequence[Tensor],
    convs: Sequence[nn.Module],
    weights: Sequence[Tensor | Callable[[Tensor], Tensor] | None] | None,
) -> Tensor:
    """The sum of convolutions of states padded to one size, each weighted or passed through a gate."""
    height, width = (max(state.shape[dim] for state in states) for dim in (2, 3))
    total: Tensor | None = None
    for number, (state, conv) in enumerate(zip(states, convs, strict=True)):
        fits = F.pad(state, (0, width - state.shape[3], 0, height - state.shape[2]))
        part: Tensor = conv(fits)
        weight = None if weights is None else weights[number]
        if isinstance(weight, Tensor):
            part = weight.to(part) * part
        elif weight is not None:
            part = weight(part)
        total = part if total is None else total + part
    assert total is not None
    return total


def _through(label: str, gate: Gate, part: Tensor) -> Tensor:
    """A state's part or zeros, with gradients for the gate of either."""
    return run_gated(label, [partial(torch.zeros_like, part), partial(torch.clone, part)], gate)


class SkipConv(DecisionModule):
    """The convolution of a layer: of the layer before, and of any earlier ones that are chosen.

    Args:
        convs: one for each state, the layer before last.
        label: prefix of a decision for each state but the last: label/0, label/1, ...
    """

    def __init__(self, convs: Sequence[nn.Module], *, label: str) -> None:
        super().__init__()
        self.convs = nn.ModuleList(convs)
        self.labels = [f"{label}/{number}" for number in range(len(convs) - 1)]

    def decisions(self) -> tuple[Decision, ...]:
        """One for each earlier state."""
        return tuple(Decision(label, _BITS) for label in self.labels)

    def guards(self) -> Iterable[tuple[nn.Module, Conjunction]]:
        """A state's convolution runs where it is chosen; that of the layer before always."""
        chosen: list[Conjunction] = [((label, (True,)),) for label in self.labels]
        return list(zip(self.convs, [*chosen, ()], strict=True))

    def realised(self, arch: Mapping[str, Value], *, fresh: bool) -> nn.Module:
        """Of the chosen states."""
        places = [place for place, label in enumerate(self.labels) if arch[label] is True]
        places.append(len(self.labels))
        return SumOfConvs(places, [self.convs[place] for place in places])

    def forward(self, states: Sequence[Tensor]) -> Tensor:
        """States, the last of which is the layer before -> (n, out, h, w)."""
        used: list[int] = []
        weights: list[Tensor | Callable[[Tensor], Tensor] | None] = []
        for place, label in enumerate(self.labels):
            selection = self.selection(label)
            if isinstance(selection, Chosen):
                if position(label, _BITS, selection.value):
                    used.append(place)
                    weights.append(None)
            elif isinstance(selection, Gate):
                used.append(place)
                weights.append(partial(_through, label, selection))
            elif check_weights(label, 2, selection.weights)[1] != 0:
                used.append(place)
                weights.append(selection.weights[1])
        used.append(len(self.labels))
        weights.append(None)
        return padded_sum([states[place] for place in used], [self.convs[place] for place in used], weights)


class ChainBackbone(nn.Module):
    """Images (n, channels, side, side) to features (n, filters of the last layer).

    Args:
        stem: images to the first map.
        layers: (convolution of all states so far, what follows it) of each.
    """

    def __init__(self, stem: nn.Module, layers: Sequence[tuple[nn.Module, nn.Module]]) -> None:
        super().__init__()
        self.stem = stem
        self.convs = nn.ModuleList(conv for conv, _ in layers)
        self.layers = nn.ModuleList(then for _, then in layers)
        self.stage_names = ("stem", *(f"layers.{i}" for i in range(len(layers))))

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, filters)."""
        states: list[Tensor] = [self.stem(x)]
        for conv, then in zip(self.convs, self.layers, strict=True):
            states.append(then(conv(states)))
        return states[-1].mean((2, 3))


@dataclass(frozen=True, kw_only=True)
class ConvChain(PublishedSpace):
    """A chain of convolutions: each its kernel's height and width, its filters, its stride, its skips.

    Attributes:
        size: "small" (3 layers of up to 32 filters, maps of 16 px) or "large" (6 layers of up to 64,
            on maps of 32 px: 224 px are halved three times by the stem).
        layers: how many. None: by size.
        kernels: heights and widths to choose from, odd.
        filters: numbers to choose from. None: by size.
        strides: to choose from; with more than one, plans cannot mix them.
        skips: whether layers can read any earlier layers besides (anchor points).

    Example:
        >>> ConvChain(layers=2, filters=(4, 8)).space(num_classes=10).size() == (4 * 4 * 2) ** 2
        True
    """

    name: ClassVar[str] = "chain"

    layers: int | None = None
    kernels: tuple[int, ...] = (1, 3, 5, 7)
    filters: tuple[int, ...] | None = None
    strides: tuple[int, ...] = (1,)
    skips: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("kernels", "filters", "strides"):
            values = as_tuples(getattr(self, name))
            object.__setattr__(self, name, values)
            if values is not None:
                for value in values:
                    check_whole(name, value)
                if not values:
                    raise OptionError(f"chain: {name} needs at least one value")
        if any(kernel % 2 == 0 for kernel in self.kernels):
            raise OptionError(f"chain: kernels are odd, got {self.kernels}")
        if self.layers is not None:
            check_whole("layers", self.layers)

    def network(self, num_classes: int, channels: int, side: int) -> nn.Module:
        """See `PublishedSpace.network`."""
        is_small = self.size == "small"
        filters = self.filters or ((8, 16, 24, 32) if is_small else (24, 36, 48, 64))
        stem, _ = small_stem(channels, filters[0], side, FIRST_MAP if is_small else 32)
        widths: list[Size] = [filters[0]]
        built = []
        for number in range(1, 1 + (self.layers or (3 if is_small else 6))):
            built.append(self._layer(f"layer{number}", widths, filters))
            widths.append(Elastic(filters, label=f"layer{number}/filters"))
        head = ElasticLinear(widths[-1], num_classes)
        return as_classifier(ChainBackbone(stem, built), head, num_classes, channels, side)

    def _layer(
        self, label: str, widths: Sequence[Size], filters: Sequence[int]
    ) -> tuple[nn.Module, nn.Module]:
        height, width = (Elastic(self.kernels, label=f"{label}/{side}") for side in ("height", "width"))
        c_out = Elastic(filters, label=f"{label}/filters")
        convs = [RectConv2d(c_in, c_out, height, width) for c_in in widths]
        then: list[nn.Module] = [ElasticBatchNorm2d(c_out), nn.ReLU()]
        if len(self.strides) > 1:
            made = {str(stride): Subsample(stride) for stride in self.strides}
            then.insert(0, OpChoice(made, label=f"{label}/stride"))
        elif self.strides[0] > 1:
            then.insert(0, Subsample(self.strides[0]))
        if self.skips and len(convs) > 1:
            return SkipConv(convs, label=f"{label}/skip"), nn.Sequential(*then)
        return SumOfConvs([len(convs) - 1], convs[-1:]), nn.Sequential(*then)

    def pictures(self, arch: Arch) -> list[Picture]:
        """The row of layers with its skips."""
        steps, skips = [], []
        for label, filters in arch.items():
            name, _, what = label.partition("/")
            if what != "filters":
                continue
            text = f"{arch[f'{name}/height']}x{arch[f'{name}/width']}, {filters} filters"
            stride = arch.get(f"{name}/stride", "1")
            steps.append(Step(name, text + (f", stride {stride}" if stride != "1" else "")))
        for number in range(len(steps)):
            # State 0 is the stem's output, which the picture shows as the input, -1.
            for source in range(number):
                if arch.get(f"layer{number + 1}/skip/{source}") is True:
                    skips.append((source - 1, number))
        return [Chain(self.name, tuple(steps), tuple(skips))]
