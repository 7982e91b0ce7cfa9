from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from autodl.schedulers.explore import explore
from autodl.spaces import Bool, Categorical, Int, Real, SearchSpace

SPACE = SearchSpace(
    {
        "lr": Real(1e-4, 1.0, log=True),
        "depth": Int(1, 9),
        "flag": Bool(),
        "kind": Categorical("a", {"momentum": Real(0.0, 0.9)}),
        "constant": 3,
    }
)


def test_perturbed_numbers_are_a_fifth_up_or_down():
    space = SearchSpace({"lr": Real(1e-4, 1.0, log=True), "width": Int(1, 100)})
    seen = {
        tuple(explore(space, {"lr": 0.01, "width": 50}, np.random.default_rng(i), resample=0.0).values())
        for i in range(40)
    }
    assert seen == {(lr, width) for lr in (0.008, 0.012) for width in (40, 60)}


def test_small_whole_numbers_still_move_and_the_ends_hold():
    space = SearchSpace({"depth": Int(1, 9), "p": Real(0.0, 0.5)})
    seen = [explore(space, {"depth": 2, "p": 0.5}, np.random.default_rng(i), resample=0.0) for i in range(40)]
    assert {config["depth"] for config in seen} == {1, 3}
    assert {config["p"] for config in seen} == {0.4, 0.5}


def test_choices_are_kept_unless_drawn_anew():
    start = {"lr": 0.1, "depth": 5, "flag": True, "kind": "a"}
    for i in range(20):
        near = explore(SPACE, start, np.random.default_rng(i), resample=0.0)
        assert near["kind"] == "a" and near["flag"] is True
    kinds = {len(explore(SPACE, start, np.random.default_rng(i), resample=1.0)) for i in range(20)}
    assert len(kinds) == 2  # with and without momentum


def test_only_the_labels_that_may_change_do():
    start = SPACE.sample(np.random.default_rng(1))
    for i in range(20):
        near = explore(SPACE, start, np.random.default_rng(i), resample=0.5, labels=["lr"])
        assert {k: v for k, v in near.items() if k != "lr"} == {k: v for k, v in start.items() if k != "lr"}


@settings(deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 1))
def test_result_belongs_to_the_space(seed, resample):
    rng = np.random.default_rng(seed)
    config = SPACE.sample(rng)
    for _ in range(5):
        config = explore(SPACE, config, rng, resample=resample)
        SPACE.validate(config)
