from __future__ import annotations

import pytest

from autodl.errors import OptionError
from autodl.nas import Space
from autodl.nas.engine_trials import joint_space, split_config
from autodl.spaces import Categorical, Real, SearchSpace
from autodl.testing.nas_strategies import TinyNet


def test_joint_space_has_both_kinds_of_labels():
    space = Space(TinyNet)
    joint = joint_space(space, {"lr": Real(0.01, 1.0), "momentum": Categorical(0.0, 0.9)})
    assert joint.labels == ("layer0", "layer1", "lr", "momentum")
    config = joint.sample(0) if not hasattr(joint, "default") else joint.default
    arch, recipe = split_config(space, config)
    assert space.validate(arch) == arch
    assert list(recipe) == ["lr", "momentum"]


def test_a_search_space_is_a_recipe_too():
    recipe = SearchSpace({"weight_decay": Real(1e-6, 1e-2, log=True)})
    assert joint_space(Space(TinyNet), recipe).labels[-1] == "weight_decay"


def test_labels_that_no_training_knows_are_named():
    with pytest.raises(OptionError, match="rate is none of these"):
        joint_space(Space(TinyNet), {"rate": Real(0, 1)})
