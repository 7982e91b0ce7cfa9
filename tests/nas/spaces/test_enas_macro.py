from __future__ import annotations

import functools

import pytest
import torch

from autodl.errors import OptionError
from autodl.nas.spaces import ENASMacro
from autodl.testing.nas import SpaceContract


@functools.cache
def small_space(factory):
    return factory.space(num_classes=3, side=8)


class TestENASMacro(SpaceContract):
    num_archs = 2

    def make(self):
        return small_space(ENASMacro(layers=3, width=4))

    def inputs(self):
        return (torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)),)


def test_size_is_the_papers() -> None:
    with torch.device("meta"):
        assert ENASMacro(size="cifar").space(num_classes=10).size() == 6**12 * 2**66


@pytest.mark.parametrize(
    ("size", "side", "maps"),
    [("small", 32, [16, 16, 8, 8, 4, 4]), ("large", 224, [56] * 4 + [28] * 4 + [14] * 4)],
)
def test_maps(size, side, maps) -> None:
    with torch.device("meta"):
        space = ENASMacro(size=size).space(num_classes=5, side=side)
        net = space.realise(space.sample(0)).eval()
        seen = []
        for layer in net.backbone.layers:
            layer.register_forward_hook(lambda _, __, out: seen.append(out.shape[-1]))
        assert net(torch.zeros(1, 3, side, side)).shape == (1, 5)
    assert seen == maps


def test_skips_add_earlier_layers() -> None:
    space = ENASMacro(layers=3, width=4).space(num_classes=3, side=8)
    arch = {label: d.choices[0] for label, d in space.decisions().items()}
    layer = space.realise({**arch, "layer3/skip/0": True}).backbone.layers[2].eval()
    plain = space.realise(arch).backbone.layers[2].eval()
    plain.load_state_dict(layer.state_dict())
    x, first, second = torch.randn(3, 1, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    scale = torch.rsqrt(torch.tensor(1 + 1e-5))
    torch.testing.assert_close(layer(x, [first, second]), plain(x, [first, second]) + scale * first)


def test_wrong_options() -> None:
    with pytest.raises(OptionError, match="layers must be a whole number >= 3"):
        ENASMacro(layers=2)
