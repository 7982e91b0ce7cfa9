import pytest

from autodl.errors import SpaceError
from autodl.spaces import Bool, Categorical, Int, Real
from autodl.spaces.parameters import Parameter, count_configs, enumerate_configs

NET = Parameter("net", Categorical("mlp", "cnn"))
DEPTH = Parameter("depth", Int(1, 3), (("net", "cnn"),))


def test_active_means_all_choices_are_made():
    deep = Parameter("k", Int(1, 2), (("net", "cnn"), ("op", "conv")))
    assert NET.is_active({})
    assert deep.is_active({"net": "cnn", "op": "conv"})
    assert not deep.is_active({"op": "conv"})
    assert not deep.is_active({"net": "mlp", "op": "conv"})


def test_a_condition_on_true_is_not_met_by_one():
    parameter = Parameter("k", Int(1, 2), (("flag", True),))
    assert parameter.is_active({"flag": True}) and not parameter.is_active({"flag": 1})


def test_count_and_enumerate_agree():
    parameters = (NET, DEPTH, Parameter("flip", Bool()))
    configs = list(enumerate_configs(parameters))
    assert count_configs(parameters) == len(configs) == 8
    assert configs[1:4] == [
        {"net": "mlp", "flip": True},
        {"net": "cnn", "depth": 1, "flip": False},
        {"net": "cnn", "depth": 1, "flip": True},
    ]


def test_configs_are_independent_copies():
    first, second, *_ = enumerate_configs((NET, DEPTH))
    assert first == {"net": "mlp"} and second == {"net": "cnn", "depth": 1}


def test_infinite_is_none_and_refused_at_once():
    parameters = (NET, Parameter("lr", Real(0, 1), (("net", "cnn"),)))
    assert count_configs(parameters) is None
    with pytest.raises(SpaceError, match="infinite: real values in lr"):
        enumerate_configs(parameters)
