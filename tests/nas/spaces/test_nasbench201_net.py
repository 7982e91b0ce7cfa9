from __future__ import annotations

import functools
import os
from pathlib import Path

import pytest
import torch

from autodl.errors import OptionError
from autodl.nas.costs import MACs, Params
from autodl.nas.nasbench201 import NASBench201
from autodl.nas.nasbench201_cell import search_space
from autodl.nas.realise import realise_in_place
from autodl.nas.spaces import NASBench201Net
from autodl.testing.nas import SpaceContract

DATA = Path(os.environ.get("AUTODL_NASBENCH201", "../shared/data/nasbench201"))


@functools.cache
def small_space(factory):
    return factory.space(num_classes=3, side=8)


class TestNASBench201Net(SpaceContract):
    num_archs = 2

    def make(self):
        return small_space(NASBench201Net(width=2))

    def inputs(self):
        return (torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)),)


def test_strings_of_the_table_are_architectures() -> None:
    factory = NASBench201Net()
    space = factory.space(num_classes=10)
    text = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|none~2|"
    arch = factory.arch(text)
    assert space.validate(arch) == arch
    assert factory.table_string(arch) == text
    assert len(factory.pictures(arch)[0].edges) == 5


def test_a_cell_sums_its_edges() -> None:
    space = NASBench201Net(width=2).space(num_classes=3, side=8)
    arch = dict.fromkeys(space.decisions(), "skip_connect")
    cell = space.realise(arch).backbone.blocks[0]
    x = torch.randn(1, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(cell(x), 4 * x)  # nodes are x, x, 2 x, 4 x


@pytest.mark.parametrize(
    ("text", "published"),
    [
        (
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|",
            1_288_506,
        ),
        ("|none~0|+|skip_connect~0|none~1|+|none~0|skip_connect~1|nor_conv_3x3~2|", 316_346),
    ],
)
def test_networks_have_the_benchmarks_parameters(text, published) -> None:
    factory = NASBench201Net(size="cifar")
    with torch.device("meta"):
        net = realise_in_place(factory.network(10, 3, 32), factory.arch(text), fresh=True)
    assert sum(p.numel() for p in net.parameters()) == published


@pytest.mark.slow
@pytest.mark.skipif(not DATA.exists(), reason="the table is not here")
def test_parameters_and_multiply_adds_are_the_tables() -> None:
    table = NASBench201.load(DATA)
    factory = NASBench201Net(size="cifar")
    space = factory.space(num_classes=10)
    params, macs = Params(space), MACs(space, (3, 32, 32))
    for number in range(0, 15_625, 500):
        text = table.archs()[number]
        arch = factory.arch(text)
        assert params.cost(arch) == table.params(text)
        assert macs.cost(arch) * 1e6 == pytest.approx(table.flops(text), rel=1e-9)


def test_large_images_and_wrong_options() -> None:
    with torch.device("meta"):
        space = NASBench201Net(size="large").space(num_classes=4, side=224)
        assert space.realise(space.sample(0))(torch.zeros(2, 3, 224, 224)).shape == (2, 4)
    with pytest.raises(OptionError):
        NASBench201Net(cells=0)


def test_the_network_and_the_table_have_one_search_space() -> None:
    with torch.device("meta"):
        space = NASBench201Net().space(num_classes=10)
    assert space.search_space().to_json() == search_space().to_json()
