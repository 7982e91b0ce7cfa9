from __future__ import annotations

import pytest

from autodl.errors import ConfigError
from autodl.nas.nasbench201_cell import (
    LABELS,
    as_config,
    encoding,
    enumerate_cells,
    network_key,
    number_of,
    search_space,
    to_string,
)

TEXT = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|none~2|"


def cell(*ops: str) -> dict[str, str]:
    short = {"n": "none", "s": "skip_connect", "1": "nor_conv_1x1", "3": "nor_conv_3x3", "p": "avg_pool_3x3"}
    return dict(zip(LABELS, (short[op] for op in ops), strict=True))


def test_a_string_names_the_edges_into_each_node():
    assert as_config(TEXT) == cell(*"3nps1n")
    assert to_string(as_config(TEXT)) == TEXT


def test_all_cells_survive_being_written_read_and_numbered():
    cells = list(enumerate_cells())
    assert len({to_string(c) for c in cells}) == search_space().size == 15625
    assert [number_of(c) for c in cells] == list(range(15625))
    assert all(as_config(to_string(c)) == c == as_config(number_of(c)) for c in cells[::97])
    search_space().validate(cells[4711])


@pytest.mark.parametrize(
    ("arch", "said"),
    [
        ("|none~0|+|none~0|none~1|", "is written"),
        (TEXT.replace("~1|none~2", "~2|none~1"), "is written"),
        (TEXT.replace("avg", "max"), "max_pool_3x3"),
        ({**cell(*"nnnnnn"), "edge_0_1": "conv"}, "edge_0_1"),
        ({**cell(*"nnnnnn"), "lr": 1}, "lr"),
        (15625, "0 to 15624"),
        (-1, "0 to 15624"),
    ],
)
def test_what_is_no_cell_is_refused(arch, said):
    with pytest.raises(ConfigError, match=said):
        as_config(arch)


class TestNetworkKey:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("3nnn1n", "n3nnn1"),  # through node 1, through node 2
            ("snn3nn", "nnn3nn"),  # node 1 leads nowhere
            ("31n331", "13n313"),  # nodes 1 and 2 change places
            ("n3s3n1", "n3nsn1"),
        ],
    )
    def test_equal_for_one_network_written_twice(self, one, other):
        same = network_key(cell(*one)) == network_key(cell(*other))
        assert same == (one != "n3s3n1"), "the last pair differs"

    def test_cells_that_are_cut_off_are_one(self):
        assert network_key(cell(*"3n3nnn")) == network_key(cell(*"nnnnnn")) == ""

    def test_there_are_4930_networks(self):
        assert len({network_key(c) for c in enumerate_cells()}) == 4930


def test_the_encoding_gives_one_vector_to_a_cell_mirrored_in_its_middle_nodes():
    assert (encoding()(cell(*"31n331")) == encoding()(cell(*"13n313"))).all()
