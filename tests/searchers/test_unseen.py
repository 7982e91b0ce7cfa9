from __future__ import annotations

import time

import numpy as np

from autodl.searchers.unseen import Unseen, config_key
from autodl.spaces import Bool, Int, Real, SearchSpace


def test_key_tells_types_apart_and_does_not_mind_the_order():
    assert len({config_key({"a": value}) for value in (1, 1.0, True, "1", None)}) == 5
    assert config_key({"a": 1, "b": 2}) == config_key({"b": 2, "a": 1})


def test_draws_each_config_of_a_finite_space_once():
    space = SearchSpace({"a": Int(1, 20), "b": Int(1, 10)})
    unseen = Unseen(space)
    drawn = [unseen.draw(np.random.default_rng(i)) for i in range(200)]
    assert {config_key(c) for c in drawn} == {config_key(c) for c in space.enumerate()}
    assert unseen.used_up
    assert unseen.draw(np.random.default_rng(0)) is None


def test_what_was_seen_is_not_drawn():
    unseen = Unseen(SearchSpace({"a": Bool(), "b": Bool()}))
    for seen in ({"a": True, "b": True}, {"a": False, "b": True}, {"a": False, "b": False}):
        assert seen in unseen
        unseen.see(seen)
        assert seen not in unseen
    assert unseen.draw(np.random.default_rng(0)) == {"a": True, "b": False}


def test_infinite_space_is_never_used_up():
    unseen = Unseen(SearchSpace({"a": Real(0, 1)}))
    assert [unseen.draw(np.random.default_rng(0)) for _ in range(2)][1] is not None
    assert not unseen.used_up


def test_last_draws_of_a_large_space_are_as_fast_as_the_first():
    space = SearchSpace({"a": Int(1, 200), "b": Int(1, 100)})
    unseen = Unseen(space)
    started = time.perf_counter()
    rng = np.random.default_rng(0)
    drawn = {config_key(unseen.draw(rng)) for _ in range(20_000)}
    assert len(drawn) == 20_000
    assert time.perf_counter() - started < 60  # about 1 s alone; listing the rest each time: minutes
