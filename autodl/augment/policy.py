"""Policies that are found or written down: sub-policies of ops with probabilities and strengths."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Self, TypeAlias

import torch
from torch import Tensor

from autodl.augment.op_table import OP_INDEX, OP_NAMES, OPS
from autodl.augment.policy_base import BatchPolicy, shares
from autodl.augment.stages import IDENTITY, Stage, draw_places
from autodl.augment.strengths import signed_magnitudes
from autodl.errors import OptionError, UnknownNameError

_SHOWN = 8
"""Sub-policies that a `repr` shows in full."""

_KEPT_SIZES = 64
"""Image sizes for which magnitudes are kept: a data set of photographs has one an image."""


@dataclass(frozen=True, slots=True)
class OpStep:
    """One op of a sub-policy.

    Args:
        op: its name in `OP_NAMES`.
        probability: that it is carried out on an image, 0..1.
        strength: 0 (leaves the image as it is) .. 1 (end of the op's range, see `OPS`); without meaning
            for AutoContrast, Equalize and Invert.
        sign: 0 draws the direction anew for each image; 1 or -1 fixes it (Brightness 1: only brighter).

    Raises:
        UnknownNameError: there is no such op.
        OptionError: a value is out of range, or a sign is fixed of an op without directions.
    """

    op: str
    probability: float
    strength: float
    sign: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.op, str) or self.op not in OPS:
            raise UnknownNameError("op", self.op, tuple(OP_NAMES))
        object.__setattr__(self, "probability", _share(self.op, "probability", self.probability))
        object.__setattr__(self, "strength", _share(self.op, "strength", self.strength))
        if self.sign not in (-1, 0, 1) or isinstance(self.sign, bool | float):
            raise OptionError(f"{self.op}: sign must be -1, 0 or 1, got {self.sign!r}")
        if self.sign and not OPS[self.op].signed:
            raise OptionError(f"{self.op} has no directions: sign must be 0, got {self.sign}")

    def __repr__(self) -> str:
        return _step_text(self)

    def values(self) -> list[Any]:
        """The arguments, a sign of 0 left out."""
        values: list[Any] = [self.op, self.probability, self.strength]
        return [*values, self.sign] if self.sign else values


StepLike: TypeAlias = "OpStep | Sequence[Any]"


@dataclass(frozen=True, init=False, repr=False)
class Policy(BatchPolicy):
    """Each image draws one sub-policy; then each of its ops is carried out with its probability, in order.

    Args:
        sub_policies: lists of `OpStep` or ``(op, probability, strength)``. An empty list leaves the image
            as it is; a policy without sub-policies leaves all images as they are.
        weights: of the sub-policies, >= 0, of any sum; None: all alike.

    Raises:
        UnknownNameError: there is no such op.
        OptionError: a value is out of range, or `weights` do not fit.

    Example:
        >>> import torch
        >>> from autodl.augment import Policy
        >>> policy = Policy([[("Rotate", 0.8, 0.5), ("Invert", 0.2, 0.0)], [("Cutout", 1.0, 0.7)]])
        >>> images = torch.zeros(8, 3, 32, 32, dtype=torch.uint8)
        >>> policy(images, torch.Generator().manual_seed(0)).shape
        torch.Size([8, 3, 32, 32])

    Source: the form is that of Lim et al., Fast AutoAugment, 2019, section 3.1. Strengths differ: theirs
    run through an op's range (see `from_fast_autoaugment`), ours from no change outwards.
    """

    sub_policies: tuple[tuple[OpStep, ...], ...]
    weights: tuple[float, ...] | None

    def __init__(
        self, sub_policies: Sequence[Sequence[StepLike]] = (), weights: Sequence[float] | None = None
    ) -> None:
        if isinstance(sub_policies, str) or not isinstance(sub_policies, Sequence):
            raise OptionError(f"sub_policies must be a list of lists of steps, got {sub_policies!r}")
        checked = tuple(_sub_policy(number, steps) for number, steps in enumerate(sub_policies))
        object.__setattr__(self, "sub_policies", checked)
        object.__setattr__(self, "weights", _checked_weights(weights, len(checked)))
        object.__setattr__(self, "_steps", _StepTable(checked))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.sub_policies, self.weights)

    def __repr__(self) -> str:
        lines = [f"[{', '.join(map(_step_text, steps))}]" for steps in self.sub_policies]
        hidden = len(lines) - _SHOWN
        if hidden > 1:
            lines = [*lines[:_SHOWN], f"... and {hidden} more"]
        end = ""
        if self.weights is not None:
            shown = ", ".join(f"{weight:.3g}" for weight in self.weights[:_SHOWN])
            end = f", weights=({shown}{', ...' if hidden > 0 else ','})"
        if len(lines) < 2:
            return f"Policy([{''.join(lines)}]{end})"
        body = ",\n    ".join(lines)
        return f"Policy([\n    {body},\n]{end})"

    @classmethod
    def from_fast_autoaugment(cls, sub_policies: Sequence[Sequence[Sequence[Any]]]) -> Self:
        """A policy in the levels that Fast AutoAugment's published files use.

        There a level in 0..1 runs through the op's range: 0.5 changes nothing for geometric ops and colour
        factors, 1 for Solarize and Posterize, 0 for Cutout. Directions of geometric ops are random, those
        of colour factors are fixed.

        Args:
            sub_policies: lists of ``(op, probability, level)``.

        Raises:
            UnknownNameError: there is no such op.
            OptionError: a value is out of range.
        """
        return cls([[_from_level(*_parts(step, 3)) for step in steps] for steps in sub_policies])

    def draw(self, number: int, size: tuple[int, int], generator: torch.Generator) -> tuple[Stage, ...]:
        """A sub-policy for each image, which of its ops are carried out, and their signs."""
        table: _StepTable = self._steps  # type: ignore[attr-defined]
        depth = len(table.ops)
        if depth == 0:
            return ()
        chosen = self._choose(number, generator)
        fires = torch.rand(depth, number, generator=generator) < table.probabilities[:, chosen]
        signs = torch.randint(2, (depth, number), generator=generator)
        magnitudes = table.magnitudes(size)[signs, torch.arange(depth)[:, None], chosen]
        fired = torch.where(fires, table.ops[:, chosen], IDENTITY)
        places = [draw_places(number, generator) if table.has_cutout else None for _ in range(depth)]
        return tuple(map(Stage, fired, magnitudes, places))

    def _choose(self, number: int, generator: torch.Generator) -> Tensor:
        if self.weights is None:
            return torch.randint(len(self.sub_policies), (number,), generator=generator)
        weights = torch.tensor(self.weights, dtype=torch.float64)
        return torch.multinomial(weights, number, replacement=True, generator=generator)

    def op_weights(self) -> dict[str, float]:
        """Each op's share of the ops that are carried out, largest first; empty if none ever is."""
        amounts = dict.fromkeys(OP_NAMES, 0.0)
        for steps, weight in zip(self.sub_policies, self._weights(), strict=True):
            for step in steps:
                amounts[step.op] += weight * step.probability
        return shares(amounts)

    def _weights(self) -> tuple[float, ...]:
        return (1.0,) * len(self.sub_policies) if self.weights is None else self.weights

    def to_data(self) -> dict[str, Any]:
        """Sub-policies as lists of ``[op, probability, strength]`` and a fixed sign, and the weights."""
        steps = [[step.values() for step in steps] for steps in self.sub_policies]
        return {"sub_policies": steps, "weights": None if self.weights is None else list(self.weights)}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """The policy that `to_data` described."""
        return cls(**data)


class _StepTable:
    """The steps as tensors (depth, sub-policies); short sub-policies end in Identity."""

    def __init__(self, sub_policies: tuple[tuple[OpStep, ...], ...]) -> None:
        depth = max(map(len, sub_policies), default=0)
        nothing = OpStep("Identity", 0.0, 0.0)
        rows = [[*steps, *[nothing] * (depth - len(steps))] for steps in sub_policies]
        columns = [[row[i] for row in rows] for i in range(depth)]
        shape = (depth, len(rows))
        ops = [[OP_INDEX[step.op] for step in column] for column in columns]
        self.ops = torch.tensor(ops, dtype=torch.int64).view(shape)
        self.probabilities = torch.tensor([[s.probability for s in c] for c in columns]).view(shape)
        self.strengths = torch.tensor([[s.strength for s in c] for c in columns]).view(shape)
        self.signs = torch.tensor([[s.sign for s in c] for c in columns], dtype=torch.int64).view(shape)
        self.has_cutout = any(step.op == "Cutout" for steps in sub_policies for step in steps)
        self._sizes: dict[tuple[int, int], Tensor] = {}

    def magnitudes(self, size: tuple[int, int]) -> Tensor:
        """(2, depth, sub-policies) magnitudes where the sign's coin shows 0 and 1."""
        if size not in self._sizes:
            if len(self._sizes) >= _KEPT_SIZES:
                self._sizes.clear()
            coins = torch.tensor([0, 1])[:, None, None].expand(2, *self.ops.shape)
            signs = torch.where(self.signs == 0, coins, (self.signs + 1) // 2)
            ops, strengths = self.ops.expand_as(signs), self.strengths.expand_as(signs)
            self._sizes[size] = signed_magnitudes(ops, strengths, signs, size)
        return self._sizes[size]


def _step_text(step: OpStep) -> str:
    sign = f", {step.sign}" if step.sign else ""
    return f"({step.op!r}, {step.probability:.3g}, {step.strength:.3g}{sign})"


def _sub_policy(number: int, steps: object) -> tuple[OpStep, ...]:
    if isinstance(steps, str | OpStep) or not isinstance(steps, Sequence):
        raise OptionError(f"sub-policy {number} must be a list of (op, probability, strength), got {steps!r}")
    try:
        return tuple(s if isinstance(s, OpStep) else OpStep(*_parts(s, 3, 4)) for s in steps)
    except UnknownNameError:
        raise
    except OptionError as error:
        raise OptionError(f"sub-policy {number}: {error}") from error


def _parts(step: object, *lengths: int) -> tuple[Any, ...]:
    if isinstance(step, str) or not isinstance(step, Sequence) or len(step) not in lengths:
        raise OptionError(f"a step is (op, probability, strength), got {step!r}")
    return tuple(step)


def _share(op: str, name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not 0.0 <= float(value) <= 1.0:
        raise OptionError(f"{op}: {name} must be a number in 0..1, got {value!r}")
    return float(value)


def _checked_weights(weights: object, number: int) -> tuple[float, ...] | None:
    if weights is None:
        return None
    if isinstance(weights, str) or not isinstance(weights, Sequence):
        raise OptionError(f"weights must be a list of numbers or None, got {weights!r}")
    if len(weights) != number:
        raise OptionError(f"weights must be one for each of {number} sub-policies, got {len(weights)}")
    for weight in weights:
        if isinstance(weight, bool) or not isinstance(weight, Real) or not 0.0 <= float(weight) < math.inf:
            raise OptionError(f"weights must be finite numbers >= 0, got {weight!r}")
    if number and not 0.0 < sum(weights) < math.inf:
        raise OptionError(f"weights must have a finite sum above 0, got {weights!r}")
    return tuple(map(float, weights))


_NO_CHANGE_AT_ONE = frozenset({"Solarize", "Posterize"})


def _from_level(op: Any, probability: Any, level: Any) -> OpStep:
    if not isinstance(op, str) or op not in OPS:
        raise UnknownNameError("op", op, tuple(OP_NAMES))
    level = _share(op, "level", level)
    if op in _NO_CHANGE_AT_ONE:
        return OpStep(op, probability, 1.0 - level)
    if not OPS[op].signed:
        return OpStep(op, probability, level)
    sign = 0 if OPS[op].kind == "geometric" or level == 0.5 else (1 if level > 0.5 else -1)
    return OpStep(op, probability, abs(2.0 * level - 1.0), sign)
