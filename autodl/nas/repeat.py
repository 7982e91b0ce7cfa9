"""A decision on the number of blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from torch import Tensor, nn

from autodl.errors import PlanError, SpaceError
from autodl.nas.decisions import Conjunction, Decision
from autodl.nas.elastic import Elastic
from autodl.nas.mixing import mix
from autodl.nas.plans import Chosen, DecisionModule, Gate, check_weights
from autodl.spaces import Value


class Repeat(DecisionModule):
    """The first so many of a row of blocks.

    Args:
        block: makes block i.
        depth: how many run; mixtures of depths need blocks that keep the shape.

    Example:
        >>> body = Repeat(lambda i: nn.Linear(4, 4), depth=Elastic([1, 2], label="depth"))
        >>> len(body.blocks)
        2
    """

    def __init__(self, block: Callable[[int], nn.Module], *, depth: Elastic) -> None:
        super().__init__()
        if min(depth.sizes) < 0:
            raise SpaceError(f"Repeat {depth.label!r}: a depth is at least 0, got {min(depth.sizes)}")
        self.depth = depth
        self.when = depth.when
        self.blocks = nn.ModuleList(block(number) for number in range(max(depth.sizes)))

    def decisions(self) -> tuple[Decision, ...]:
        """The depth."""
        return (self.depth.decision,)

    def guards(self) -> Iterable[tuple[nn.Module, Conjunction]]:
        """Block i runs at depths above i."""
        depth = self.depth
        for number, block in enumerate(self.blocks):
            deeper = tuple(c for c, size in zip(depth.choices, depth.sizes, strict=True) if size > number)
            # A block that every depth has does not depend on the decision.
            yield block, () if len(deeper) == len(depth.choices) else ((depth.label, deeper),)

    def realised(self, arch: Mapping[str, Value], *, fresh: bool) -> nn.Module:
        """A plain row of blocks."""
        return nn.Sequential(*self.blocks[: self.depth.size_of(arch[self.depth.label])])

    def forward(self, x: Tensor) -> Tensor:
        """The output of the last block that runs."""
        selection = self.selection(self.depth.label)
        if isinstance(selection, Gate):
            raise PlanError(f"{self.depth.label!r} is a depth, which gates cannot choose; use Soft or OneHot")
        if isinstance(selection, Chosen):
            for block in self.blocks[: self.depth.size_of(selection.value)]:
                x = block(x)
            return x
        numbers = check_weights(self.depth.label, len(self.depth.sizes), selection.weights)
        used = [size for size, number in zip(self.depth.sizes, numbers, strict=True) if number != 0]
        outputs = [x]
        for block in self.blocks[: max(used, default=0)]:
            outputs.append(block(outputs[-1]))
        runs = [partial(_get, outputs, size) for size in self.depth.sizes]
        return mix(self.depth.label, runs, selection.weights)


def _get(outputs: Sequence[Tensor], number: int) -> Tensor:
    return outputs[number]
