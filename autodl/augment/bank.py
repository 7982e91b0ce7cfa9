"""The op bank: what theta makes of each op at each strength, once for all policies.

A policy draws, for each image, one sub-policy and whether each of its steps fires. So the chance
that theta is right about an image under a sub-policy is a mean over outcomes that the bank holds:
p * right[op] + (1 - p) * right[plain] for one step, four such terms for two. No policy needs a
forward pass of its own.

The random sign of an op is no draw either: both signs are run, and their outcomes averaged. Cutout's
place, and the signs of pairs, stay one draw an image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from autodl.augment.ops import OP_NAMES, OPS, apply_ops
from autodl.augment.rewards import image_losses
from autodl.augment.strengths import signed_magnitudes

Single = tuple[str, float]
"""An op at a strength."""

STRENGTHS = (0.2, 0.4, 0.6, 0.8, 1.0)
# Solarize of everything is Invert: the same sub-policy under two names would share its weight.
_SKIPPED = {"Solarize": (1.0,)}

Model = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of n images.

    Attributes:
        right: (n,) chance that theta is right.
        sure: (n,) theta's probability of the true class: `right` without its jumps.
    """

    right: Tensor
    sure: Tensor

    @classmethod
    def of(cls, logits: Tensor, labels: Tensor) -> Outcome:
        """What logits (n, k) say of labels (n,)."""
        right = (logits.argmax(1) == labels).double()
        return cls(right, image_losses(logits, labels).double().neg().exp())

    def mixed(self, other: Outcome, share: float) -> Outcome:
        """This outcome with probability `share`, else the other."""
        return Outcome(
            share * self.right + (1 - share) * other.right, share * self.sure + (1 - share) * other.sure
        )


@dataclass(slots=True)
class OpBank:
    """Outcomes of D_A.

    Attributes:
        plain: of the images as they are.
        singles: of each op at each strength.
        pairs: of two ops at their strengths, one after the other.
        is_complete: False if time ran out before all were computed.
    """

    plain: Outcome
    singles: dict[Single, Outcome] = field(default_factory=dict)
    pairs: dict[tuple[Single, Single], Outcome] = field(default_factory=dict)
    is_complete: bool = True

    def chance(self, steps: Sequence[tuple[str, float, float]]) -> Outcome:
        """Outcome of one or two steps (op, probability, strength), each of which may not fire."""
        plain, (op, p, strength) = self.plain, steps[0]
        first = self.singles[op, strength].mixed(plain, p)
        if len(steps) == 1:
            return first
        second, p2, strength2 = steps[1]
        without = self.singles[second, strength2].mixed(plain, p2)
        alone = self.singles[op, strength]
        both = self.pairs[(op, strength), (second, strength2)].mixed(alone, p2)
        return both.mixed(without, p)


def search_ops(*, is_grey: bool) -> tuple[str, ...]:
    """The ops that are searched: all but Identity, and Color where there is no colour."""
    left_out = {"Identity", "Color"} if is_grey else {"Identity"}
    return tuple(name for name in OP_NAMES if name not in left_out)


def strengths_of(op: str) -> tuple[float, ...]:
    """The strengths at which an op is run."""
    if not OPS[op].has_level:
        return (1.0,)
    return tuple(s for s in STRENGTHS if s not in _SKIPPED.get(op, ()))


def build_bank(
    images: Tensor,
    labels: Tensor,
    model: Model,
    *,
    ops: Sequence[str],
    generator: torch.Generator,
    is_late: Callable[[], bool] = lambda: False,
) -> OpBank:
    """Run every op at every strength once over the images, and once with each sign.

    Args:
        images: (n, c, h, w) uint8.
        labels: (n,) int64.
        model: images to logits (n, k).
        ops: names; the first of equals is preferred later.
        generator: of Cutout's places.
        is_late: asked before each op; the bank ends there when it says so.
    """
    bank = OpBank(Outcome.of(model(images), labels))
    # Weak and strong of every op before the strengths between: a bank cut short has seen all ops.
    for op, strength in sorted(_singles(ops), key=lambda single: _turn(single[1])):
        if is_late():
            bank.is_complete = False
            break
        signs = (1.0, -1.0) if OPS[op].signed else (1.0,)
        outcomes = [
            Outcome.of(model(_applied(images, op, strength, sign, generator)), labels) for sign in signs
        ]
        bank.singles[op, strength] = outcomes[0].mixed(outcomes[-1], 0.5)
    bank.singles = {single: bank.singles[single] for single in _singles(ops) if single in bank.singles}
    return bank


def add_pairs(
    bank: OpBank,
    pairs: Sequence[tuple[Single, Single]],
    images: Tensor,
    labels: Tensor,
    model: Model,
    *,
    generator: torch.Generator,
    is_late: Callable[[], bool] = lambda: False,
) -> None:
    """Run second ops on the outputs of first ones, and put their outcomes into the bank.

    Args:
        bank: holds the singles of all pairs.
        pairs: first and second op with their strengths; those with one first op stand together.
        images: as for `build_bank`.
        labels: as for `build_bank`.
        model: as for `build_bank`.
        generator: of signs and places, each image its own.
        is_late: asked before each pair.
    """
    before: Single | None = None
    outputs = images
    for first, second in pairs:
        if is_late():
            bank.is_complete = False
            return
        if first != before:
            outputs, before = _applied(images, *first, None, generator), first
        changed = _applied(outputs, *second, None, generator)
        bank.pairs[first, second] = Outcome.of(model(changed), labels)


def count_single_forwards(ops: Sequence[str]) -> int:
    """Forward passes of each image that `build_bank` needs."""
    return 1 + sum((2 if OPS[op].signed else 1) for op, _ in _singles(ops))


def _turn(strength: float) -> int:
    order = sorted(STRENGTHS, key=lambda s: (s not in (STRENGTHS[0], STRENGTHS[-1]), -s))
    return order.index(strength)


def _singles(ops: Sequence[str]) -> Iterator[Single]:
    for op in ops:
        for strength in strengths_of(op):
            yield op, strength


def _applied(
    images: Tensor, op: str, strength: float, sign: float | None, generator: torch.Generator
) -> Tensor:
    """One op on all images; sign None draws one for each."""
    number = len(images)
    if sign is None:
        signs = torch.randint(0, 2, (number,), generator=generator)
    else:
        signs = torch.full((number,), int(sign > 0))
    places = torch.rand(number, 2, generator=generator) if op == "Cutout" else None
    kinds = torch.full((number,), OP_NAMES.index(op), dtype=torch.int64)
    height, width = images.shape[-2:]
    magnitudes = signed_magnitudes(kinds, torch.full((number,), strength), signs, (height, width))
    return apply_ops(images, kinds, magnitudes, places=places)
