from __future__ import annotations

from importlib import metadata

import pytest

from autodl.errors import OptionError, UnknownNameError
from autodl.searchers import BayesianSearcher, GridSearcher, RandomSearcher, get_searcher
from autodl.searchers.registry import SEARCHERS


@pytest.mark.parametrize(
    ("name", "made"), [("random", RandomSearcher), ("grid", GridSearcher), ("bayesian", BayesianSearcher)]
)
def test_names(name, made):
    assert isinstance(get_searcher(name), made)
    assert get_searcher(name) is not get_searcher(name)


def test_any_object_with_the_two_methods_is_taken_as_it_is():
    class Mine:
        def suggest(self, trial_id):
            return None

        def observe(self, report):
            pass

    mine = Mine()
    assert get_searcher(mine) is mine


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match="unknown searcher 'rando'; known: auto, random, grid, "):
        get_searcher("rando")


@pytest.mark.parametrize("wrong", [None, 3, RandomSearcher, object()])
def test_what_is_no_searcher_is_refused(wrong):
    with pytest.raises(OptionError, match=r"a name or an object with suggest\(trial_id\)"):
        get_searcher(wrong)


def test_third_partys_name_comes_from_its_entry_point(monkeypatch):
    group = "autodl.searchers"
    good = metadata.EntryPoint("mine", "autodl.searchers.random_search:RandomSearcher", group)
    useless = metadata.EntryPoint("useless", "builtins:dict", group)
    offered = metadata.EntryPoints([good, useless])
    monkeypatch.setattr(metadata, "entry_points", lambda *, group: offered.select(group=group))
    assert isinstance(get_searcher("mine"), RandomSearcher)
    with pytest.raises(OptionError, match=r"got \{\}"):
        get_searcher("useless")


def test_every_name_makes_a_searcher_that_shows_what_it_is():
    for name, factory in SEARCHERS.items():
        made = get_searcher(name)
        assert isinstance(made, factory)
        assert repr(made).startswith(factory.__name__)
