from __future__ import annotations

import pytest
import torch

from autodl.augment.op_table import OP_INDEX, OP_NAMES, OPS
from autodl.augment.strengths import signed_magnitudes


@pytest.mark.parametrize("name", OP_NAMES)
def test_as_the_registry_defines_them(name: str):
    strengths = torch.linspace(0.0, 1.0, 21)
    height, width = 40, 64
    side = {"TranslateY": height}.get(name, width)
    for sign in (0, 1):
        signs = torch.full((21,), sign)
        ops = torch.full((21,), OP_INDEX[name])
        found = signed_magnitudes(ops, strengths, signs, (height, width))
        wanted = OPS[name].magnitude(strengths, 2.0 * signs - 1.0, side)
        assert torch.allclose(found, wanted.float()), name
