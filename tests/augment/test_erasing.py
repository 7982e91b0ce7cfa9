"""Random erasing: how much is erased, with what, and what stays."""

from __future__ import annotations

import pytest
import torch

from autodl.augment.erasing import RandomErasing
from autodl.errors import DataError, OptionError


def test_erased_areas_lie_in_the_range_and_the_rest_stays():
    images = torch.full((400, 3, 32, 32), 9, dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    erased = RandomErasing(probability=0.5, area=(0.1, 0.3), ratio=(0.5, 2.0), fill=200)(
        images, torch.Generator().manual_seed(0)
    )
    assert set(erased.unique().tolist()) == {9, 200}
    assert erased.is_contiguous(memory_format=torch.channels_last)
    share = (erased[:, 0] == 200).float().mean((1, 2))
    hit = share[share > 0]
    assert 0.4 < len(hit) / 400 < 0.6
    assert 0.08 < hit.min() and hit.max() < 0.33


def test_noise_is_noise_and_wrong_ranges_are_refused():
    images = torch.zeros(20, 1, 16, 16, dtype=torch.uint8)
    erased = RandomErasing(probability=1.0)(images, torch.Generator().manual_seed(0))
    assert len(erased.unique()) > 50
    with pytest.raises(OptionError, match="area"):
        RandomErasing(area=(0.5, 0.1))
    with pytest.raises(OptionError, match="fill"):
        RandomErasing(fill=300)


def test_floats_are_refused_and_no_images_are_no_error():
    with pytest.raises(DataError, match="the conversion to floats"):
        RandomErasing()(torch.rand(2, 3, 8, 8), torch.Generator())
    assert RandomErasing()(torch.zeros(0, 3, 8, 8, dtype=torch.uint8), torch.Generator()).shape == (
        0,
        3,
        8,
        8,
    )
