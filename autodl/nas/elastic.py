"""Sizes that are open, and what layers with such sizes share.

In plans that mix sizes a layer computes at full width, and the layer that *reads* the channels
multiplies them by ``sum_i g_i M_i``. Batch normalisation, activations, pooling and depthwise
convolutions in between work on each channel alone, so masks come after batch normalisation, as
in FBNetV2 (Wan et al., 2020, section 3.1), and are applied once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from autodl.errors import PlanError, SpaceError
from autodl.nas.decisions import Conjunction, Decision, When, as_conjunction
from autodl.nas.plans import Chosen, DecisionModule, Gate, check_weights, position
from autodl.spaces import Value


@dataclass(frozen=True, slots=True, init=False)
class Elastic:
    """A size that is open: an argument of elastic layers and of `Repeat`.

    ``elastic * 4`` is four times the size under the same decision: hidden channels of a block
    whose expansion is open are ``Elastic([3, 6], label="e") * 16``.

    Args:
        values: sizes to choose from, whole numbers, each once.
        label: of the decision; equal labels decide together.
        when: conditions on other decisions under which this one matters.

    Attributes:
        choices: what stands in an architecture.
        sizes: what each choice stands for.

    Raises:
        SpaceError: no values, one twice, or one that is no whole number.
    """

    label: str
    choices: tuple[int, ...]
    sizes: tuple[int, ...]
    when: Conjunction = field(default=())

    def __init__(self, values: Sequence[int], label: str, when: When | None = None) -> None:
        values = tuple(values)
        if not values or len(set(values)) < len(values) or not all(type(v) is int for v in values):
            raise SpaceError(f"Elastic {label!r} takes different whole numbers, got {list(values)}")
        object.__setattr__(self, "label", label)
        object.__setattr__(self, "choices", values)
        object.__setattr__(self, "sizes", values)
        object.__setattr__(self, "when", as_conjunction(when))

    def __mul__(self, factor: int) -> Elastic:
        scaled = replace_sizes(self, tuple(size * factor for size in self.sizes))
        return scaled

    __rmul__ = __mul__

    @property
    def decision(self) -> Decision:
        """The decision it stands for."""
        return Decision(self.label, self.choices, (self.when,) if self.when else ())

    @property
    def largest(self) -> int:
        """The largest size."""
        return max(self.sizes)

    def size_of(self, value: Value) -> int:
        """The size that a choice stands for."""
        return self.sizes[position(self.label, self.choices, value)]

    def gates(self, weights: Tensor, like: Tensor) -> Tensor:
        """``sum_i g_i M_i``: how much of each channel is read, (largest,).

        Args:
            weights: (choices,), g.
            like: whose device and type are used.
        """
        check_weights(self.label, len(self.choices), weights)
        masks = torch.arange(self.largest)[None, :] < torch.tensor(self.sizes)[:, None]
        return weights.to(like) @ masks.to(like)


def replace_sizes(elastic: Elastic, sizes: tuple[int, ...]) -> Elastic:
    """The same decision about other sizes."""
    other = Elastic(elastic.choices, elastic.label)
    object.__setattr__(other, "sizes", sizes)
    object.__setattr__(other, "when", elastic.when)
    return other


Size = int | Elastic


def largest(size: Size) -> int:
    """The size at which weights are made."""
    return size.largest if isinstance(size, Elastic) else size


def size_in(size: Size, arch: Mapping[str, Value]) -> int:
    """The size in an architecture."""
    return size.size_of(arch[size.label]) if isinstance(size, Elastic) else size


class ElasticModule(DecisionModule):
    """What layers with open sizes share."""

    def open_sizes(self) -> tuple[Size, ...]:
        """The sizes, open or not."""
        raise NotImplementedError

    def decisions(self) -> tuple[Decision, ...]:
        """One for each label among the sizes."""
        found = {size.label: size.decision for size in self.open_sizes() if isinstance(size, Elastic)}
        return tuple(found.values())

    def _decide(self, size: Size) -> int | Tensor:
        """The size in this call, or the weights of its choices."""
        if not isinstance(size, Elastic):
            return size
        if size.when and size.label not in self._plan():
            return size.sizes[0]
        selection = self.selection(size.label)
        if isinstance(selection, Chosen):
            return size.size_of(selection.value)
        if isinstance(selection, Gate):
            raise PlanError(f"{size.label!r} is a size, which gates cannot choose; use Soft, Mask or OneHot")
        return selection.weights

    def _number(self, size: Size) -> int:
        """The size in this call; the largest where sizes are mixed."""
        decided = self._decide(size)
        return largest(size) if isinstance(decided, Tensor) else decided

    def _masked(self, x: Tensor, size: Size, dim: int) -> Tensor:
        """What a layer reads: all of it, or channels weighted by the gates of mixed sizes."""
        decided = self._decide(size)
        if isinstance(decided, Tensor):
            assert isinstance(size, Elastic)
            expected, mask = size.largest, size.gates(decided, x)
        else:
            expected, mask = decided, None
        if x.shape[dim] != expected:
            label = size.label if isinstance(size, Elastic) else "in"
            raise PlanError(
                f"{type(self).__name__} reads {expected} channels ({label}), got {x.shape[dim]}; layers "
                "that follow each other need sizes of one label"
            )
        if mask is None:
            return x
        shape = [1] * x.ndim
        shape[dim] = -1
        return x * mask.view(shape)
