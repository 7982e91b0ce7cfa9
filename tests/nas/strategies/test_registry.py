from __future__ import annotations

from importlib import metadata

import pytest

from autodl.errors import OptionError, UnknownNameError
from autodl.nas import Strategy
from autodl.nas.strategies import DARTS, EngineSearch, ProxylessNAS, SinglePath, get_strategy
from autodl.nas.strategies.registry import STRATEGIES


@pytest.mark.parametrize(
    ("name", "made"), [("darts", DARTS), ("single_path", SinglePath), ("mobster", EngineSearch)]
)
def test_names(name, made):
    assert isinstance(get_strategy(name), made)
    assert get_strategy(name) is not get_strategy(name)


def test_every_name_makes_a_strategy_with_a_name():
    for name in STRATEGIES:
        made = get_strategy(name)
        assert isinstance(made, Strategy)
        assert made.name


def test_options_go_to_the_strategy():
    assert get_strategy("proxyless", update="reinforce").update == "reinforce"
    assert get_strategy("evolution", retrain_top=3).retrain_top == 3
    assert get_strategy("engine", searcher="tpe").searcher == "tpe"


def test_any_object_that_searches_is_taken_as_it_is():
    mine = ProxylessNAS()
    assert get_strategy(mine) is mine
    with pytest.raises(OptionError, match="options go with a name"):
        get_strategy(mine, update="reinforce")


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match="unknown strategy 'dart'; known: darts, snas, fbnet, "):
        get_strategy("dart")


def test_unknown_option_is_named():
    with pytest.raises(OptionError, match=r"strategy 'darts': .*ordr"):
        get_strategy("darts", ordr=2)


@pytest.mark.parametrize("wrong", [None, 3, DARTS, object()])
def test_what_is_no_strategy_is_refused(wrong):
    with pytest.raises(OptionError, match=r"a name or an object with search\(space, data"):
        get_strategy(wrong)


def test_third_partys_name_comes_from_its_entry_point(monkeypatch):
    group = "autodl.nas_strategies"
    offered = metadata.EntryPoints([metadata.EntryPoint("mine", "autodl.nas.strategies.snas:SNAS", group)])
    monkeypatch.setattr(metadata, "entry_points", lambda *, group: offered.select(group=group))
    assert get_strategy("mine").name == "snas"


def test_engine_searches_are_told_apart_by_their_names():
    names = [get_strategy(name).name for name in ("random", "asha", "mobster")]
    assert names == ["random", "random+asha", "mobster+asha"]
