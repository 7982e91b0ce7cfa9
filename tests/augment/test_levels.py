from __future__ import annotations

import pytest
import torch

from autodl.augment.levels import AUGMIX_SCALE, AUTO_AUGMENT_SCALE, SIGNED, WIDE_SCALE, LevelScale
from autodl.augment.op_table import OP_INDEX

SCALES = [AUTO_AUGMENT_SCALE, WIDE_SCALE, AUGMIX_SCALE]


@pytest.mark.parametrize("scale", SCALES, ids=["auto", "wide", "augmix"])
def test_level_0_changes_nothing_but_posterize_of_augmix(scale: LevelScale):
    weakest = scale.magnitudes(31, 32, 32)[:, :, 0]
    for op in ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate"):
        assert weakest[:, OP_INDEX[op]].tolist() == [0.0, 0.0]
    for op in ("Brightness", "Color", "Contrast", "Sharpness"):
        assert weakest[:, OP_INDEX[op]].tolist() == [1.0, 1.0]
    assert weakest[:, OP_INDEX["Solarize"]].tolist() == [255.0, 255.0]
    assert weakest[0, OP_INDEX["Posterize"]] == scale.posterize[0]


def test_only_signed_ops_have_two_directions():
    table = WIDE_SCALE.magnitudes(31, 32, 32)
    differs = (table[0] != table[1]).any(1)
    assert set(differs.nonzero().flatten().tolist()) == {OP_INDEX[op] for op in SIGNED}


def test_shifts_are_whole_pixels_and_follow_their_side():
    table = AUTO_AUGMENT_SCALE.magnitudes(10, 40, 331)
    assert torch.equal(table, table.clone()) and table[1, OP_INDEX["TranslateX"], 9] == 150
    assert table[1, OP_INDEX["TranslateY"], 9] == 18  # 150 / 331 * 40 = 18.1
