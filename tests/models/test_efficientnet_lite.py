from __future__ import annotations

import pytest
import torch

from autodl.models.efficientnet_lite import SCALINGS, EfficientNetLite, same_padding, scaled_width
from autodl.models.network import build_network
from autodl.models.pretrained import package_weights

# Logits 0, 1, 2, 500, 999 and the best class that the reference implementation, the PyPI package
# efficientnet-lite-pytorch 0.1.0, gives for `pixels` normalised as (pixel - 127) / 128.
REFERENCE = {
    "efficientnet_lite0": (506, [2.0294, 0.48116, -0.02991, -0.87896, -1.40207]),
    "efficientnet_lite1": (818, [-1.2021, 0.69318, -0.11701, -0.68253, -0.70643]),
    "efficientnet_lite2": (641, [-0.0839, 1.27163, -1.94638, -0.60366, -1.59379]),
}
# Million parameters with 1,000 classes: Google's announcement of the family, 2020.
PARAMETERS = {"efficientnet_lite0": 4.7, "efficientnet_lite1": 5.4, "efficientnet_lite2": 6.1}


def pixels(side: int) -> torch.Tensor:
    """A made image (1, 3, side, side), exact on every platform: integer arithmetic only."""
    y, x = torch.arange(side).view(1, -1, 1), torch.arange(side).view(1, 1, -1)
    channel = torch.arange(3).view(-1, 1, 1)
    return ((3 * x + 2 * y + x * y // 64 + 60 * channel) % 256).to(torch.uint8)[None]


@pytest.mark.parametrize("name", REFERENCE)
def test_published_weights_give_the_reference_logits(name: str) -> None:
    if package_weights(name) is None:
        pytest.skip(f"the weights package of {name} is not installed ([pretrained])")
    net = build_network(name, 1000, weights="pretrained").eval()
    with torch.no_grad():
        logits = net(net.preprocessing.normalise(pixels(SCALINGS[name].input_size)))[0]
    best, values = REFERENCE[name]
    assert int(logits.argmax()) == best
    torch.testing.assert_close(logits[[0, 1, 2, 500, 999]], torch.tensor(values), rtol=0, atol=2e-3)


@pytest.mark.parametrize("name", PARAMETERS)
def test_number_of_parameters(name: str) -> None:
    with torch.device("meta"):
        backbone = EfficientNetLite(SCALINGS[name])
    count = sum(p.numel() for p in backbone.parameters()) + 1281 * 1000
    assert count / 1e6 == pytest.approx(PARAMETERS[name], abs=0.06)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"),
    [(224, 3, 2, (0, 1)), (15, 5, 2, (2, 2)), (28, 5, 2, (1, 2)), (7, 3, 1, (1, 1)), (5, 1, 2, (0, 0))],
)
def test_same_padding(size: int, kernel: int, stride: int, padding: tuple[int, int]) -> None:
    assert same_padding(size, kernel, stride) == padding


def test_widths_never_lose_more_than_a_tenth() -> None:
    assert [scaled_width(w, 1.1) for w in (16, 24, 40, 80, 112, 192, 320)] == [16, 24, 48, 88, 120, 208, 352]
    assert scaled_width(11, 1.0) == 16


def test_stages_cover_the_backbone_and_give_the_last_map() -> None:
    net = build_network("efficientnet_lite0", 2, input_size=32, seed=0)
    in_stages = sum(p.numel() for stage in net.stages for p in stage.parameters())
    assert in_stages == sum(p.numel() for p in net.backbone.parameters())
    assert net.cam_layer is net.stages[-1]
    assert net(torch.zeros(1, 3, 33, 47)).shape == (1, 2)


def test_drop_path_skips_blocks_in_training_only() -> None:
    net = build_network("efficientnet_lite0", 2, input_size=32, seed=0, drop_path=0.9)
    x = torch.randn(2, 3, 32, 32)
    net.eval()
    assert torch.equal(net(x), net(x))
    net.train()
    torch.manual_seed(0)
    assert not torch.equal(net(x), net(x))
