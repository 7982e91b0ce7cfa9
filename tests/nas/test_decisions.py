"""Conditions and ties, on their own."""

import pytest

from autodl.errors import SpaceError
from autodl.nas.decisions import Decision, as_conjunction, both, collect, holds


def test_conjunctions():
    one, two = as_conjunction({"a": 1, "b": (1, 2)}), as_conjunction({"b": [2, 3], "c": "x"})
    assert both(one, two) == (("a", (1,)), ("b", (2,)), ("c", ("x",)))
    assert holds(one, {"a": 1, "b": 2}) and not holds(one, {"a": True, "b": 2}) and not holds(one, {"a": 1})
    assert as_conjunction(None) == ()


def test_ways_to_be_active_that_say_less_swallow_those_that_say_more():
    a = Decision("a", (1, 2))
    b = Decision("b", (1, 2))
    narrow = Decision("c", ("x",), ((("a", (1,)), ("b", (1,))),))
    wide = Decision("c", ("x",), ((("a", (1,)),),))
    assert collect([a, b, narrow, wide])["c"].when == wide.when
    assert collect([a, b, narrow, Decision("c", ("x",))])["c"].when == ()


def test_a_condition_on_a_choice_that_does_not_exist():
    with pytest.raises(SpaceError, match=r"'b' depends on 'a' being 3, whose choices are \[1, 2\]"):
        collect([Decision("a", (1, 2)), Decision("b", ("x",), ((("a", (3,)),),))])


def test_choices_keep_their_types():
    decision = Decision("a", (1, True, "1"))
    assert [decision.index(value) for value in (1, True, "1", 1.0)] == [0, 1, 2, None]
