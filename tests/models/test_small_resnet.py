from __future__ import annotations

import pytest
import torch

from autodl.errors import OptionError, UnknownNameError
from autodl.models.network import build_network
from autodl.models.small_resnet import ResidualBlock


def last_map(input_size: int) -> int:
    net = build_network("small_resnet", 2, input_size=input_size, width=4).eval()
    sizes = []
    assert net.cam_layer is not None
    handle = net.cam_layer.register_forward_hook(lambda _m, _i, out: sizes.append(out.shape[-1]))
    with torch.no_grad():
        assert net(torch.zeros(1, 3, input_size, input_size)).shape == (1, 2)
    handle.remove()
    return int(sizes[0])


@pytest.mark.parametrize(("input_size", "expected"), [(1, 1), (4, 4), (8, 4), (28, 4), (32, 4), (64, 4)])
def test_the_last_map_is_four_pixels_wide(input_size: int, expected: int) -> None:
    assert last_map(input_size) == expected


@pytest.mark.parametrize("input_size", [14, 20, 48, 96, 128, 224])
def test_the_last_map_of_odd_sizes_is_not_smaller_and_not_twice_as_wide(input_size: int) -> None:
    assert 4 <= last_map(input_size) < 8


@pytest.mark.parametrize("options", [{}, {"blocks": 2, "se": True}, {"width": 6, "stages": 2, "channels": 1}])
def test_options_and_gradients(options: dict[str, int]) -> None:
    net = build_network("small_resnet", 3, input_size=16, seed=0, **{"width": 8, **options})
    x = torch.randn(4, net.preprocessing.channels, 16, 16)
    net(x.to(memory_format=torch.channels_last)).square().sum().backward()
    assert net.feature_dim == options.get("width", 8) * 2 ** (options.get("stages", 3) - 1)
    assert all(p.grad is not None for p in net.parameters())


def test_a_block_without_convolutions_is_its_shortcut() -> None:
    block = next(
        m for m in build_network("small_resnet", 2, seed=0).modules() if isinstance(m, ResidualBlock)
    )
    torch.nn.init.zeros_(block.conv2.weight)
    x = torch.randn(2, 32, 8, 8)  # negative values pass, too: nothing follows the sum
    torch.testing.assert_close(block(x.clone()), x)


@pytest.mark.parametrize(("first_map", "expected"), [(16, 16), (32, 32), (8, 8)])
def test_the_stem_brings_images_to_the_first_map(first_map: int, expected: int) -> None:
    net = build_network("small_resnet", 2, input_size=32, width=4, first_map=first_map).eval()
    assert net.stages[0](torch.zeros(1, 3, 32, 32)).shape == (1, 4, expected, expected)


def test_it_learns_in_bfloat16_channels_last() -> None:
    torch.manual_seed(0)
    x = torch.randn(64, 3, 8, 8)
    y = (x[:, 0].mean((1, 2)) > x[:, 1].mean((1, 2))).long()
    net = build_network("small_resnet", 2, input_size=8, width=8, stages=2, seed=0)
    net = net.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3)
    for _ in range(30):
        with torch.autocast("cpu", torch.bfloat16):
            loss = torch.nn.functional.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.3


def test_wrong_options_are_named() -> None:
    with pytest.raises(UnknownNameError, match=r"depth.*known: width, blocks, stages, first_map"):
        build_network("small_resnet", 2, depth=3)
    with pytest.raises(OptionError, match="width must lie in"):
        build_network("small_resnet", 2, width=0)
