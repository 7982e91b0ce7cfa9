from __future__ import annotations

import pytest
import torch

from autodl.models.classifier import Preprocessing
from autodl.training.preprocess import Preprocess, to_grey

IMAGES = torch.randint(0, 256, (2, 3, 5, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def reference() -> torch.Tensor:
    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    return (IMAGES / 255 - mean) / std


@pytest.mark.parametrize("channels_last", [True, False])
def test_normalises_as_defined(channels_last):
    inputs = Preprocess(MEAN, STD).normalise(IMAGES, torch.float32, channels_last)
    torch.testing.assert_close(inputs, reference(), atol=1e-5, rtol=1e-5)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    assert inputs.is_contiguous(memory_format=layout)


def test_bfloat16_is_as_close_as_it_can_be():
    inputs = Preprocess(MEAN, STD).normalise(IMAGES, torch.bfloat16, True)
    assert inputs.dtype == torch.bfloat16
    assert float((inputs.float() - reference()).abs().max()) < 0.03


def test_of_a_network_s_record_crops_the_centre():
    preprocess = Preprocess.of(Preprocessing(3, MEAN, STD))
    assert (preprocess.mean, preprocess.std) == (MEAN, STD)
    assert torch.equal(preprocess.view(IMAGES), IMAGES[..., 1:4, 1:4])


def test_a_one_channel_network_sees_luminance():
    white = torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)
    assert torch.equal(to_grey(white), white[:, :1])
    inputs = Preprocess((0.5,), (0.5,)).normalise(white, torch.float32, False)
    assert inputs.shape == (1, 1, 2, 2)
    assert inputs.unique().tolist() == pytest.approx([1.0])
