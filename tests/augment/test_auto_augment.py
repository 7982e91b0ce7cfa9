"""Tables and magnitudes are held against torchvision's."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from autodl.augment.auto_augment import AutoAugment
from autodl.augment.auto_augment_tables import TABLES
from autodl.augment.op_table import OP_INDEX
from autodl.augment.stages import IDENTITY
from autodl.errors import UnknownNameError
from tests.augment.made_policies import seeded
from tests.augment.torchvision_spaces import magnitudes_of


@pytest.fixture(params=["cifar10", "imagenet", "svhn"])
def published(request: pytest.FixtureRequest) -> tuple[str, Any]:
    from torchvision.transforms import v2

    return request.param, v2.AutoAugment(v2.AutoAugmentPolicy(request.param))


def test_tables_are_the_published_ones(published: tuple[str, Any]):
    name, reference = published
    pairs = [tuple((op, p, level or 0) for op, p, level in pair) for pair in reference._policies]
    assert list(TABLES[name]) == pairs


def test_draws_what_torchvision_draws(published: tuple[str, Any]):
    name, reference = published
    height, width, number = 40, 33, 60_000
    stages = AutoAugment(name).draw(number, (height, width), seeded())
    for position, stage in enumerate(stages):
        expected: dict[tuple[int, float], float] = {}
        for pair in reference._policies:
            op, probability, level = pair[position]
            values = magnitudes_of(
                reference._AUGMENTATION_SPACE, op, 10, height, width, None if level is None else [level]
            )
            for value in values:
                key = (OP_INDEX[op], round(value, 4))
                expected[key] = expected.get(key, 0.0) + probability / len(values) / 25
        fired = stage.ops != IDENTITY
        keys = zip(stage.ops[fired].tolist(), stage.magnitudes[fired].tolist(), strict=True)
        found: dict[tuple[int, float], float] = {}
        for op_index, value in keys:
            key = (op_index, round(value, 4))
            found[key] = found.get(key, 0.0) + 1 / number
        assert {key for key, share in expected.items() if share > 0} == set(found)
        for key, share in found.items():
            assert share == pytest.approx(expected[key], abs=0.004), key


def test_the_two_ops_of_an_image_belong_together():
    first, second = AutoAugment("svhn").draw(5_000, (32, 32), seeded())
    both = (first.ops != IDENTITY) & (second.ops != IDENTITY)
    drawn = set(zip(first.ops[both].tolist(), second.ops[both].tolist(), strict=True))
    assert drawn <= {(OP_INDEX[a[0]], OP_INDEX[b[0]]) for a, b in TABLES["svhn"]}


def test_unknown_policy():
    with pytest.raises(UnknownNameError, match="unknown AutoAugment policy 'mnist'; known: cifar10"):
        AutoAugment("mnist")
    assert torch.is_tensor(AutoAugment()(torch.zeros(1, 3, 4, 4, dtype=torch.uint8), seeded()))
