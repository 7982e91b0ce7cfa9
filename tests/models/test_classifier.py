from __future__ import annotations

import copy
import json

import pytest
import torch
from torch import nn

from autodl.errors import OptionError
from autodl.models.classifier import Backbone, Classifier, Preprocessing


def small(**kwargs: object) -> Classifier:
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Classifier(Backbone(layers, ("0",), "1"), nn.Linear(4, 2), Preprocessing(8), **kwargs)  # type: ignore[arg-type]


def test_normalise_is_the_textbook_formula_and_leaves_the_pixels_alone() -> None:
    pixels = torch.arange(0, 240, 5, dtype=torch.uint8).view(1, 3, 4, 4)
    prep = Preprocessing(4, mean=(0.1, 0.5, 0.9), std=(0.2, 0.3, 0.4))
    mean, std = torch.tensor(prep.mean).view(3, 1, 1), torch.tensor(prep.std).view(3, 1, 1)
    expected = (pixels / 255 - mean) / std
    floats = pixels.float()
    for given in (pixels, floats):
        before = given.clone()
        out = prep.normalise(given)
        assert out.dtype == torch.float32
        torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-5)
        assert torch.equal(given, before)


def test_normalise_keeps_channels_last() -> None:
    pixels = torch.zeros(2, 3, 5, 5, dtype=torch.uint8).to(memory_format=torch.channels_last)
    out = Preprocessing(5).normalise(pixels)
    assert out.is_contiguous(memory_format=torch.channels_last)


def test_preprocessing_survives_json() -> None:
    prep = Preprocessing(224, mean=(0.1, 0.2, 0.3), crop_fraction=0.875, interpolation="bicubic")
    assert Preprocessing.from_json(json.loads(json.dumps(prep.to_json()))) == prep
    assert prep.resize_size == 256


@pytest.mark.parametrize(
    "wrong",
    [
        {"input_size": 0},
        {"crop_fraction": 0.0},
        {"crop_fraction": 1.5},
        {"interpolation": "lanczos"},
        {"mean": (0.5,)},
        {"std": (0.5, 0.0, 0.5)},
        {"channels": 1},
    ],
)
def test_preprocessing_refuses(wrong: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        Preprocessing(**{"input_size": 8, **wrong})  # type: ignore[arg-type]


def test_logits_are_the_head_on_the_features_and_dropout_acts_in_training_only() -> None:
    net, x = small(dropout=0.9), torch.randn(4, 3, 8, 8)
    net.eval()
    assert torch.equal(net(x), net.head(net.backbone(x)))
    net.train()
    torch.manual_seed(0)
    assert not torch.equal(net(x), net.head(net.backbone(x)))


def test_sizes_and_stages_and_copies() -> None:
    net = small()
    assert (net.feature_dim, net.num_classes, net.splits) == (4, 2, True)
    assert net.stages == [net.backbone.get_submodule("module.0")]
    assert isinstance(net.cam_layer, nn.ReLU)
    twin = copy.deepcopy(net)
    assert twin.stages[0] is not net.stages[0], "stages must follow the copy, not the original"


def test_without_a_linear_head_the_number_of_classes_must_be_told() -> None:
    backbone = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
    with pytest.raises(OptionError, match="Identity"):
        Classifier(backbone, nn.Identity(), Preprocessing(2))
    net = Classifier(backbone, nn.Identity(), Preprocessing(2), num_classes=5)
    assert (net.splits, net.num_classes, net.feature_dim) == (False, 5, 5)


def test_dropout_must_be_a_probability() -> None:
    with pytest.raises(OptionError, match=r"\[0, 1\)"):
        small(dropout=1.0)
