from __future__ import annotations

import numpy as np
import pytest

from autodl.errors import ConfigError, OptionError
from autodl.nas.cell_encoding import CellEncoding

CHAIN = {"a": (0, 1), "b": (1, 2), "c": (0, 2)}


def test_paths_are_counted_by_what_they_compute():
    encoding = CellEncoding(CHAIN, ["conv", "pool"])
    vector = encoding({"a": "conv", "b": "skip_connect", "c": "conv"})
    words = ["", "c", "p", "cc", "cp", "pc", "pp"]
    assert vector[: len(words)].tolist() == pytest.approx([0, np.sqrt(2), 0, 0, 0, 0, 0])
    # Shares of conv, pool and skip among 3 edges; depth of the deepest, shallowest, mean path of 2.
    assert vector[len(words) :].tolist() == pytest.approx([2 / 3, 0, 1 / 3, 0.5, 0.5, 0.5])


def test_dead_edges_do_not_count():
    encoding = CellEncoding(CHAIN, ["conv", "pool"])
    dead = encoding({"a": "none", "b": "pool", "c": "conv"})
    other = encoding({"a": "conv", "b": "none", "c": "conv"})
    assert (dead == other).all()
    assert not encoding({"a": "none", "b": "pool", "c": "none"}).any()


def test_groups_share_a_length_scale_among_paths_of_one_length():
    encoding = CellEncoding(CHAIN, ["conv", "pool"])
    assert encoding.groups.tolist() == [0, 1, 1, 2, 2, 2, 2, 3, 4, 5, 6, 7, 8]
    assert len(encoding({"a": "conv", "b": "conv", "c": "conv"})) == len(encoding.groups)


def test_any_graph_and_names_of_operations():
    diamond = {"a": (0, 1), "b": (0, 2), "c": (1, 3), "d": (2, 3)}
    encoding = CellEncoding(diamond, ["sep"], skip="id", none="zero")
    assert sorted(encoding.paths) == [("a", "c"), ("b", "d")]
    left = encoding({"a": "sep", "b": "id", "c": "id", "d": "zero"})
    right = encoding({"a": "zero", "b": "id", "c": "zero", "d": "sep"})
    assert (left == right).all()


def test_mistakes_are_named():
    with pytest.raises(ConfigError, match="'b': None"):
        CellEncoding(CHAIN, ["conv"])({"a": "conv", "c": "conv"})
    with pytest.raises(OptionError, match="lower to higher"):
        CellEncoding({"a": (1, 0)}, ["conv"])
    with pytest.raises(OptionError, match="no path"):
        CellEncoding({"a": (1, 2)}, ["conv"])
