from collections import namedtuple

import pytest
import torch

from autodl.errors import ConfigError, SpaceError
from autodl.spaces import Bool, Categorical, Dict, Int, List, Real, SearchSpace
from autodl.spaces.nested import build, fresh, holds_space

Pair = namedtuple("Pair", "left right")


def test_labels_follow_keys_positions_and_chosen_names():
    space = SearchSpace(
        {
            "lr": Real(0, 1),
            "block": Dict(width=Int(1, 9), ops=List(Bool(), "fixed", Int(1, 2))),
            "net": Categorical("mlp", Dict(depth=Int(1, 3)), Dict(depth=Int(1, 3))),
        }
    )
    assert space.labels == (
        "lr", "block/width", "block/ops/0", "block/ops/2", "net", "net/Dict/depth", "net/Dict#2/depth",
    )  # fmt: skip
    assert space["net/Dict#2/depth"].conditions == (("net", "Dict#2"),)


def test_plain_containers_with_spaces_are_spaces_and_keep_their_type():
    root = {"a": (Int(1, 2), 7), "b": [Bool(), [Int(3, 4)]], "c": Pair(Int(5, 6), 0), "d": {"x": Real(0, 1)}}
    space = SearchSpace(root)
    assert space.labels == ("a/0", "b/0", "b/1/0", "c/0", "d/x")
    built = space.build(space.default)
    assert built == {"a": (2, 7), "b": [False, [4]], "c": Pair(6, 0), "d": {"x": 0.5}}
    assert type(built["c"]) is Pair


def test_a_list_of_one_list_is_the_list_itself():
    assert len(List([Int(1, 2), 3])) == 2
    assert SearchSpace({"a": [[Int(1, 2)]]}).build({"a/0/0": 1}) == {"a": [[1]]}


def test_constants_are_no_labels_and_keep_their_type():
    marker = object()
    space = SearchSpace({"epochs": 27, "shape": (1, 2), "marker": marker, "cls": dict, "lr": Real(0, 1)})
    assert space.labels == ("lr",)
    built = space.build({"lr": 0.1})
    assert built == {"epochs": 27, "shape": (1, 2), "marker": marker, "cls": dict, "lr": 0.1}


def test_two_builds_share_no_containers_and_no_networks():
    layer = torch.nn.Linear(1, 1)
    space = SearchSpace({"sizes": [1, {"a": [2]}], "layer": layer, "layers": [layer]})
    first, second = space.build({}), space.build({})
    first["sizes"][1]["a"].append(3)
    with torch.no_grad():
        first["layer"].weight.fill_(9)
    assert second["sizes"] == [1, {"a": [2]}]
    assert second["layer"].weight.item() != 9 != layer.weight.item()
    assert second["layers"][0] is not first["layers"][0]
    assert space.build({})["sizes"] == [1, {"a": [2]}]


def test_the_giver_of_a_container_can_change_it_later():
    sizes = [1]
    space, choice = Dict(sizes=sizes), Categorical(sizes, 3)
    sizes.append(2)
    assert space["sizes"] == choice.choices[0] == [1]


def test_fresh_passes_large_objects_on():
    tensor = torch.zeros(3)
    assert fresh([tensor])[0] is tensor
    assert fresh(torch.nn.Linear) is torch.nn.Linear


def test_choices_inside_choices_build_what_was_chosen():
    inner = Categorical({"conv": Dict(kernel=Categorical(3, 5)), "pool": "max"})
    space = SearchSpace({"op": Categorical({"none": None, "some": {"inner": inner, "bias": Bool()}})})
    kernel = "op/some/inner/conv/kernel"
    assert space[kernel].conditions == (("op", "some"), ("op/some/inner", "conv"))
    assert space.build({"op": "none"}) == {"op": None}
    config = {"op": "some", "op/some/inner": "conv", kernel: 5, "op/some/bias": True}
    assert space.build(config) == {"op": {"inner": {"kernel": 5}, "bias": True}}
    assert space.build({"op": "some", "op/some/inner": "pool", "op/some/bias": True})["op"]["inner"] == "max"


def test_a_choice_that_is_a_domain_has_a_label_of_its_own():
    space = SearchSpace({"decay": Categorical(0, Real(0.1, 1, log=True))})
    assert space.labels == ("decay", "decay/Real")
    assert space.build({"decay": "Real", "decay/Real": 0.5}) == {"decay": 0.5}
    assert space.build({"decay": 0}) == {"decay": 0}


def test_labels_that_collide_are_refused():
    with pytest.raises(SpaceError, match=r"one label twice: \['a/b'\]"):
        SearchSpace({"a/b": Real(0, 1), "a": {"b": Real(0, 1)}})


def test_keys_must_be_strings():
    with pytest.raises(SpaceError, match="non-empty strings, got 1"):
        SearchSpace({1: Real(0, 1)})
    with pytest.raises(SpaceError, match="non-empty strings, got ''"):
        Dict({"": 1})


def test_holds_space_looks_inside():
    assert holds_space({"a": [(Int(1, 2),)]})
    assert not holds_space({"a": [(1, 2)], "b": Int})


def test_build_names_what_a_config_lacks():
    with pytest.raises(ConfigError, match="config lacks 'a/b'"):
        build(Dict(b=Int(1, 2)), "a", {})
    with pytest.raises(ConfigError, match="'a' must be one of 1, 2, got 3"):
        build(Categorical(1, 2), "a", {"a": 3})


def test_repr_shows_parts():
    assert repr(Dict(a=1, b=List(2, Bool()))) == "Dict(a=1, b=List(2, Bool(default=False)))"
    assert Dict({"x y": 1}, z=2)["x y"] == 1
