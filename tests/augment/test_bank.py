from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from autodl.augment.bank import (
    OpBank,
    Outcome,
    add_pairs,
    build_bank,
    count_single_forwards,
    search_ops,
    strengths_of,
)
from autodl.augment.policy import Policy
from autodl.augment.rewards import any_of, expected_any_of


class Recorder:
    """Knows a class by the mean brightness, and keeps what it saw."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def __call__(self, images: Tensor) -> Tensor:
        self.seen.append(images.clone())
        mean = images.float().mean((1, 2, 3)) / 32
        return -(mean[:, None] - torch.arange(8.0)[None]).square()


def draw(number: int = 60, side: int = 9) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (number, 3, side, side), dtype=torch.uint8, generator=generator)
    level = torch.rand(number, 1, 1, 1, generator=generator)
    images = (images * level).to(torch.uint8)
    return images, torch.randint(0, 8, (number,), generator=generator)


def bank_of(ops: tuple[str, ...], side: int = 9) -> tuple[OpBank, Recorder, Tensor, Tensor]:
    images, labels = draw(side=side)
    model = Recorder()
    bank = build_bank(images, labels, model, ops=ops, generator=torch.Generator().manual_seed(0))
    return bank, model, images, labels


def test_a_sixth_of_the_published_forwards_for_all_ops() -> None:
    ops = search_ops(is_grey=False)
    assert len(ops) == 15 and "Identity" not in ops
    assert "Color" not in search_ops(is_grey=True)
    bank, model, *_ = bank_of(ops)
    assert len(model.seen) == count_single_forwards(ops)
    assert len(model.seen) + 45 <= 1000 / 6  # with the pairs of the ten best
    assert set(bank.singles) == {(op, s) for op in ops for s in strengths_of(op)}


def test_trial_images_differ_from_plain_ones() -> None:
    _, model, images, _ = bank_of(("Rotate", "Brightness", "Cutout", "Invert"), side=32)
    assert torch.equal(model.seen[0], images)
    assert all(not torch.equal(seen, images) for seen in model.seen[1:])


def test_an_op_and_its_double_are_not_both_there() -> None:
    assert 1.0 not in strengths_of("Solarize")
    assert strengths_of("Invert") == (1.0,)


@pytest.mark.parametrize(
    "steps",
    [
        [("Brightness", 0.4, 1.0)],
        [("Invert", 0.7, 1.0)],
        [("Brightness", 0.5, 1.0), ("Invert", 0.25, 1.0)],
    ],
)
def test_closed_form_agrees_with_a_thousand_draws(steps: list[tuple[str, float, float]]) -> None:
    """Of one-op policies exactly; of pairs up to the one draw of signs that the bank holds."""
    bank, model, images, labels = bank_of(("Brightness", "Invert"))
    if len(steps) == 2:
        many = images.repeat(200, 1, 1, 1)  # so many draws of the sign
        add_pairs(
            bank,
            [(("Brightness", 1.0), ("Invert", 1.0))],
            many,
            labels.repeat(200),
            model,
            generator=torch.Generator().manual_seed(3),
        )
        for pair, outcome in bank.pairs.items():
            folded = [value.view(200, -1).mean(0) for value in (outcome.right, outcome.sure)]
            bank.pairs[pair] = Outcome(*folded)
    policy = Policy([steps])
    generator = torch.Generator().manual_seed(5)
    draws = torch.stack([model(policy(images, generator)).argmax(1) == labels for _ in range(1000)])
    rewards = torch.tensor([any_of(five) for five in draws.view(200, 5, -1)], dtype=torch.float64)
    error = max(float(rewards.std()) / math.sqrt(200), 1e-9)
    expected = float(expected_any_of(bank.chance(steps).right))
    assert abs(expected - float(rewards.mean())) < 3 * error


def test_a_late_bank_holds_every_op_it_came_to_and_says_so() -> None:
    images, labels = draw(20)
    asked = iter([False] * 5 + [True] * 99)
    bank = build_bank(
        images,
        labels,
        Recorder(),
        ops=("Rotate", "ShearX", "Invert"),
        generator=torch.Generator(),
        is_late=lambda: next(asked),
    )
    assert not bank.is_complete
    assert {op for op, _ in bank.singles} == {"Rotate", "ShearX", "Invert"}  # not all of Rotate first
