import enum
import functools
import math
import pickle

import numpy as np
import pytest

from autodl.errors import SpaceError
from autodl.spaces import Categorical, Dict, Int, Real


class Colour(enum.Enum):
    RED = 1


def relu(x): ...


def test_scalars_stand_for_themselves_and_one_sequence_holds_them_all():
    assert Categorical("a", 1, None).names == ("a", 1, None)
    for holder in (["a", 1], ("a", 1)):
        assert Categorical(holder).names == ("a", 1)
    assert Categorical(range(3)).names == (0, 1, 2)
    names = Categorical(np.array([0.5, 1.0])).names
    assert names == (0.5, 1.0) and all(type(n) is float for n in names)


def test_other_choices_get_names_that_are_the_same_in_every_process():
    choices = Categorical(
        (3, 3),
        Colour.RED,
        relu,
        functools.partial(relu, 1),
        dict,
        math.inf,
        object(),
        {1, 2},
        Dict(x=Int(1, 2)),
        Real(0, 1),
        ["x" * 100],
    )
    assert choices.names == (
        "(3, 3)", "RED", "relu", "relu#2", "dict", "inf", "object", "set", "Dict", "Real", "list",
    )  # fmt: skip


def test_a_scalar_keeps_its_name_against_an_object_that_wants_it():
    assert Categorical(relu, "relu", "relu#2").names == ("relu#3", "relu", "relu#2")


def test_a_mapping_names_its_choices():
    space = Categorical({"small": Dict(width=Int(1, 2)), "large": 3})
    assert space.names == ("small", "large")
    assert space.choices[1] == 3
    assert space.default == "small"
    with pytest.raises(SpaceError, match="names its choices with strings, got 1"):
        Categorical({1: "a"})


def test_default_is_a_choice_or_its_name():
    assert Categorical("a", "b").default == "a"
    assert Categorical("a", "b", default="b").default == "b"
    assert Categorical((1, 2), (3, 4), default=(3, 4)).default == "(3, 4)"
    assert Categorical((1, 2), (3, 4), default="(3, 4)").default == "(3, 4)"
    assert Categorical(Int(1, 2), Int(1, 3), default=Int(1, 3)).default == "Int#2"
    with pytest.raises(SpaceError, match="default must be one of 'a', 'b', got 'c'"):
        Categorical("a", "b", default="c")


def test_true_one_and_one_point_oh_are_three_choices():
    space = Categorical(1, True, 1.0)
    assert [space.index(v) for v in (1, True, 1.0)] == [0, 1, 2]
    assert [type(space.from_unit(u)) for u in (0.1, 0.5, 0.9)] == [int, bool, float]
    assert Categorical(1, 2) != Categorical(True, 2)


def test_none_and_repeated_choices_are_refused():
    with pytest.raises(SpaceError, match="at least one choice"):
        Categorical()
    with pytest.raises(SpaceError, match="at least one choice"):
        Categorical([])
    with pytest.raises(SpaceError, match="'a' is given twice"):
        Categorical("a", "b", "a")


def test_check_names_the_choices():
    assert Categorical("a", "b").check("a") is None
    assert Categorical("a", "b").check("z") == "must be one of 'a', 'b', got 'z'"
    assert Categorical(range(100)).check(-1).count(",") < 25
    assert Categorical("a").check(np.array([1, 2]))


def test_choices_of_arrays_can_be_compared():
    first, second = np.zeros(2), np.ones(2)
    assert Categorical(first, second, default=second).default == "ndarray#2"
    assert Categorical(first, second) == Categorical(first, second)


def test_flat_holds_scalars_only():
    flat = Categorical((1, 2), Dict(x=Int(1, 2)), default="Dict").flat
    assert flat.choices == flat.names == ("(1, 2)", "Dict")
    assert flat.default == "Dict"


def test_pickle_keeps_names_and_default():
    space = Categorical((1, 2), "x", default="x")
    copy = pickle.loads(pickle.dumps(space))
    assert copy == space and copy.default == "x" and hash(copy) == hash(space)


def test_unit_bins_are_equal():
    space = Categorical("a", "b", "c", "d")
    assert [space.to_unit(n) for n in space.names] == [0.125, 0.375, 0.625, 0.875]
    assert [space.from_unit(u) for u in (-1, 0, 0.25, 0.99, 1, 2)] == ["a", "a", "b", "d", "d", "d"]
