"""Ops and magnitudes are held against torchvision's own definitions."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from autodl.augment.op_table import OP_INDEX, OP_NAMES, OPS
from autodl.augment.random_policies import (
    RANDOM_OPS,
    UNIFORM_OPS,
    RandAugment,
    TrivialAugmentWide,
    UniformAugment,
)
from autodl.errors import OptionError
from tests.augment.made_policies import seeded
from tests.augment.torchvision_spaces import magnitudes_of

SIZE = (40, 33)
NUMBER = 40_000


@pytest.fixture(scope="module")
def v2() -> Any:
    from torchvision.transforms import v2

    return v2


def counts(ops: torch.Tensor, names: tuple[str, ...]) -> list[float]:
    assert set(ops.unique().tolist()) <= {OP_INDEX[name] for name in names}
    return [(ops == OP_INDEX[name]).float().mean().item() for name in names]


@pytest.mark.parametrize(("levels", "level"), [(31, 9), (31, 30), (31, 0), (5, 3)])
def test_rand_augment_draws_what_torchvision_draws(v2: Any, levels: int, level: int):
    space = v2.RandAugment._AUGMENTATION_SPACE
    assert set(space) == set(RANDOM_OPS)
    first, second = RandAugment(2, level, levels).draw(NUMBER, SIZE, seeded())
    for stage in (first, second):
        assert counts(stage.ops, RANDOM_OPS) == pytest.approx([1 / 14] * 14, abs=0.006)
        for op in RANDOM_OPS:
            values = stage.magnitudes[stage.ops == OP_INDEX[op]]
            wanted = magnitudes_of(space, op, levels, *SIZE, levels=[level])
            assert values.unique().tolist() == pytest.approx(sorted(set(wanted)), abs=1e-5), op
    same = (first.ops == second.ops).float().mean()
    assert same == pytest.approx(1 / 14, abs=0.01), "the two ops of an image are independent"


@pytest.mark.parametrize("levels", [31, 4])
def test_trivial_augment_draws_what_torchvision_draws(v2: Any, levels: int):
    space = v2.TrivialAugmentWide._AUGMENTATION_SPACE
    assert set(space) == set(RANDOM_OPS)
    (stage,) = TrivialAugmentWide(levels).draw(NUMBER, SIZE, seeded())
    assert counts(stage.ops, RANDOM_OPS) == pytest.approx([1 / 14] * 14, abs=0.006)
    for op in RANDOM_OPS:
        values = stage.magnitudes[stage.ops == OP_INDEX[op]]
        wanted = magnitudes_of(space, op, levels, *SIZE)
        assert values.unique().tolist() == pytest.approx(sorted(set(wanted)), abs=1e-5), op
        assert values.mean() == pytest.approx(sum(wanted) / len(wanted), abs=0.05 * (1 + max(wanted))), op


def test_uniform_augment_draws_ops_coins_and_strengths_uniformly():
    stages = UniformAugment(2).draw(NUMBER, (32, 32), seeded())
    assert len(stages) == 2
    for stage in stages:
        found = counts(stage.ops, (*UNIFORM_OPS, "Identity"))
        assert found == pytest.approx([1 / 30] * 15 + [0.5], abs=0.01)
        for op in ("Rotate", "Brightness", "Solarize"):
            values = stage.magnitudes[stage.ops == OP_INDEX[op]]
            strength = ((values - OPS[op].low) / (OPS[op].high - OPS[op].low)).abs()
            assert strength.mean() == pytest.approx(0.5, abs=0.03)
            assert strength.min() < 0.02 and strength.max() > 0.98


def test_rand_augment_of_no_op_leaves_images_alone():
    images = torch.randint(0, 256, (5, 3, 7, 7), dtype=torch.uint8, generator=seeded())
    for policy in (RandAugment(n=0), UniformAugment(n=0)):
        assert torch.equal(policy(images, seeded()), images)


def test_all_ops_are_known():
    assert set(RANDOM_OPS) | set(UNIFORM_OPS) == set(OP_NAMES)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandAugment(n=-1), "n must be a whole number >= 0, got -1"),
        (lambda: RandAugment(magnitude=9.0), "magnitude must be a whole number >= 0, got 9.0"),
        (lambda: RandAugment(magnitude=31), "magnitude must be a level below num_levels=31, got 31"),
        (lambda: RandAugment(num_levels=1), "num_levels must be a whole number >= 2, got 1"),
        (lambda: TrivialAugmentWide(1), "num_levels must be a whole number >= 2, got 1"),
        (lambda: UniformAugment(True), "n must be a whole number >= 0, got True"),
    ],
)
def test_wrong_arguments(make: Any, message: str):
    with pytest.raises(OptionError, match=message):
        make()
