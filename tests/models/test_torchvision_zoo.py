from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision import models

from autodl.errors import OptionError
from autodl.models.network import build_network
from autodl.models.torchvision_zoo import cached_weights, weights_of, zoo_names, zoo_preprocessing

# One of each family, at the smallest input it bears: (name, pixels, features).
FAMILIES = [
    ("resnet18", 32, 512),
    ("mobilenet_v3_small", 32, 1024),
    ("mobilenet_v2", 32, 1280),
    ("efficientnet_b0", 32, 1280),
    ("convnext_tiny", 32, 768),
    ("densenet121", 32, 1024),
    ("regnet_y_400mf", 32, 440),
    ("shufflenet_v2_x0_5", 32, 1024),
    ("mnasnet0_5", 32, 1280),
    ("swin_t", 32, 768),
    ("vit_b_32", 64, 768),
    ("googlenet", 32, 1024),
]


@pytest.mark.parametrize(("name", "size", "features"), FAMILIES)
def test_the_last_linear_layer_becomes_the_head(name: str, size: int, features: int) -> None:
    net = build_network(name, 3, input_size=size, seed=0)
    with torch.no_grad():
        x = torch.randn(2, 3, size, size)
        assert net.eval().backbone(x).shape == (2, features)
        assert net(x).shape == (2, 3)
    assert net.feature_dim == features
    assert len(net.stages) >= 4
    assert net.cam_layer is not None


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
def test_weights_in_torchvisions_layout_give_torchvisions_logits(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    original = models.get_model(name, weights=None).eval()
    torch.save(original.state_dict(), tmp_path / "w.pth")
    net = build_network(name, 1000, input_size=32, weights=tmp_path / "w.pth").eval()
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(net(x), original(x))


def test_a_vits_position_embedding_is_resized_to_the_input(tmp_path: Path) -> None:
    torch.manual_seed(0)
    original = models.vit_b_32(image_size=64)
    torch.save(original.state_dict(), tmp_path / "w.pth")
    net = build_network("vit_b_32", 1000, input_size=96, weights=tmp_path / "w.pth")
    old = original.get_parameter("encoder.pos_embedding")
    new = net.backbone.get_parameter("module.encoder.pos_embedding")
    assert (old.shape[1], new.shape[1]) == (1 + 4, 1 + 9)
    assert torch.equal(new[:, 0], old[:, 0])
    torch.testing.assert_close(new[:, [1, 3, 7, 9]], old[:, 1:])  # the corners stay


def test_an_auxiliary_head_in_the_weights_is_left_out(tmp_path: Path) -> None:
    original = models.googlenet(weights=None, aux_logits=True, init_weights=False)
    torch.save(original.state_dict(), tmp_path / "w.pth")
    net = build_network("googlenet", 2, input_size=32, weights=tmp_path / "w.pth")
    key = "conv1.conv.weight"
    assert torch.equal(net.backbone.get_parameter(f"module.{key}"), original.get_parameter(key))


def test_preprocessing_is_that_of_the_default_weights() -> None:
    prep = zoo_preprocessing("efficientnet_b0", None)
    assert (prep.input_size, prep.crop_fraction, prep.interpolation) == (224, 0.875, "bicubic")
    assert prep.mean == (0.485, 0.456, 0.406)
    assert zoo_preprocessing("resnet50", 128).input_size == 128


def test_dropout_before_the_head_is_ours_to_set() -> None:
    net = build_network("mobilenet_v3_small", 2, input_size=32)
    assert [m.p for m in net.backbone.modules() if isinstance(m, nn.Dropout)] == [0.0]


def test_an_input_too_small_is_refused_at_once() -> None:
    with pytest.raises(OptionError, match=r"alexnet does not work at input_size=16 \(usual: 224\)"):
        build_network("alexnet", 2, input_size=16)
    with pytest.raises(OptionError, match="vit_b_32 cannot be built at input_size=50"):
        build_network("vit_b_32", 2, input_size=50)
    with pytest.raises(OptionError, match=r"resnet18 cannot be built.*colour"):
        build_network("resnet18", 2, colour=True)


def test_names_end_in_a_linear_layer() -> None:
    assert "squeezenet1_0" not in zoo_names()
    assert "resnet18" in zoo_names()


def test_cached_weights_follow_torch_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert cached_weights("resnet18") is None
    path = tmp_path / "hub" / "checkpoints" / Path(weights_of("resnet18").url).name
    path.parent.mkdir(parents=True)
    torch.save(models.resnet18(weights=None).state_dict(), path)
    assert cached_weights("resnet18") == path
    net = build_network("resnet18", 2, input_size=32, weights="pretrained")
    wanted = torch.load(path, weights_only=True)["layer4.1.bn2.running_var"]
    assert torch.equal(net.state_dict()["backbone.module.layer4.1.bn2.running_var"], wanted)
