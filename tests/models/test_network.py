from __future__ import annotations

from pathlib import Path

import pytest
import torch

from autodl.errors import OptionError, UnknownNameError, WeightsUnavailableError
from autodl.models import network
from autodl.models.network import build_network, known_networks, pretrained_networks
from autodl.models.weights_io import save_weights


def test_names_lead_with_our_own() -> None:
    names = known_networks()
    assert names[:4] == ("small_resnet", "efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
    assert {"resnet18", "mobilenet_v3_small", "convnext_tiny", "vit_b_16"} <= set(names)
    assert len(names) == len(set(names))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown network 'resnet19'; known: small_resnet, "):
        build_network("resnet19", 2)


@pytest.mark.parametrize("wrong", [{"num_classes": 0}, {"num_classes": True}, {"input_size": 0}])
def test_wrong_sizes(wrong: dict[str, int]) -> None:
    with pytest.raises(OptionError, match=">= 1"):
        build_network("small_resnet", **{"num_classes": 2, **wrong})  # type: ignore[arg-type]


def test_seed_fixes_the_weights_and_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    nets = [build_network("small_resnet", 2, width=4, seed=s) for s in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), before)
    first, same, other = (n.head.weight for n in nets)
    assert torch.equal(first, same)  # type: ignore[arg-type]
    assert not torch.equal(first, other)  # type: ignore[arg-type]


def test_pretrained_is_refused_where_nothing_is_published() -> None:
    with pytest.raises(WeightsUnavailableError, match=r"small_resnet has no published weights.*weights=PATH"):
        build_network("small_resnet", 2, weights="pretrained")


def test_networks_with_weights_on_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "x.pth"
    monkeypatch.setattr(network, "package_weights", lambda name: file if name.endswith("1") else None)
    monkeypatch.setattr(network, "cached_weights", lambda name: file if name == "resnet50" else None)
    assert pretrained_networks() == ("efficientnet_lite1", "resnet50")


def test_a_saved_classifier_is_taken_whole_or_without_its_head(tmp_path: Path) -> None:
    source = build_network("small_resnet", 3, width=4, seed=0)
    path = tmp_path / "w.safetensors"
    save_weights(source.state_dict(), path)
    same = build_network("small_resnet", 3, width=4, seed=1, weights=path)
    for key, value in source.state_dict().items():
        assert torch.equal(same.state_dict()[key], value), key
    other = build_network("small_resnet", 5, width=4, seed=1, weights=str(path))
    fresh = build_network("small_resnet", 5, width=4, seed=1)
    assert torch.equal(other.head.weight, fresh.head.weight)  # type: ignore[arg-type]
    key = "backbone.stem.0.weight"
    assert torch.equal(other.state_dict()[key], source.state_dict()[key])


def test_weights_of_another_network_are_refused_with_the_keys(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save(build_network("small_resnet", 2, width=8, seed=0).state_dict(), path)
    with pytest.raises(WeightsUnavailableError, match=r"of another shape: backbone\.stem\.0\.weight \(8, 3"):
        build_network("small_resnet", 2, width=4, weights=path)
    with pytest.raises(WeightsUnavailableError, match=r"missing: backbone\.blocks\.0\.1\.bn1\.weight"):
        build_network("small_resnet", 2, width=8, blocks=2, weights=path)
    with pytest.raises(WeightsUnavailableError, match=r"unexpected: backbone\.blocks\.2"):
        build_network("small_resnet", 2, width=8, stages=2, weights=path)
