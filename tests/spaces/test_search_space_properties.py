"""Laws that hold for any search space, checked on random nested conditional ones."""

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from autodl.errors import SpaceError
from autodl.spaces import Bool, Categorical, Dict, Int, List, Real, SearchSpace, UnitCubeCodec, obj
from autodl.spaces.nested import holds_space

KEYS = st.sampled_from(["a", "b", "lr", "net/x", "été", "with space", "0"])
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.floats(-5, 5), st.text("abc/#2", min_size=1, max_size=3)
)


@obj()
class Anything:
    def __init__(self, **given):
        self.given = given

    def __eq__(self, other):
        return type(other) is type(self) and other.given == self.given


@st.composite
def reals(draw):
    low = draw(st.floats(1e-9, 1e3))
    high = draw(st.floats(low, 1e6))
    return Real(low, high, log=draw(st.booleans()))


@st.composite
def ints(draw):
    log = draw(st.booleans())
    low = draw(st.integers(1 if log else -20, 20))
    return Int(low, low + draw(st.integers(0, 6)), log=log)


def type_and_value(value):
    return type(value), value


def domains(*, finite):
    scalars = st.lists(SCALARS, min_size=1, max_size=4, unique_by=type_and_value).map(Categorical)
    parts = [ints(), st.builds(Bool), scalars]
    return st.one_of(*parts) if finite else st.one_of(reals(), *parts)


def _containers(children):
    mappings = st.dictionaries(KEYS, children, max_size=3)
    lists = st.lists(children, max_size=3)
    return st.one_of(
        mappings.map(Dict),
        mappings,
        lists.map(lambda items: List(*items, 0)),
        lists,
        lists.map(tuple),
        st.dictionaries(st.sampled_from(["p", "q"]), children, max_size=2).map(lambda d: Anything(**d)),
        # One choice that is a dict would name its entries; the 0 makes it a choice.
        st.lists(children, min_size=1, max_size=3).map(_distinct_choices),
    )


def _distinct_choices(choices):
    # Scalars may not repeat, so that constants stand in a tuple of their position.
    return Categorical([c if holds_space(c) else (i, c) for i, c in enumerate(choices)])


def spaces(*, finite=False):
    """Roots of search spaces; some have colliding labels and are refused."""
    leaves = st.one_of(domains(finite=finite), SCALARS)
    nodes = st.recursive(leaves, _containers, max_leaves=12)
    return st.dictionaries(KEYS, nodes, min_size=1, max_size=3)


SETTINGS = settings(deadline=None, derandomize=True, max_examples=250)


def search_space(root):
    try:
        return SearchSpace(root)
    except SpaceError as error:
        assert "label twice" in str(error)
        return SearchSpace({})


@SETTINGS
@given(spaces().map(search_space), st.integers(0, 2**32))
def test_round_trip_over_random_nested_conditional_spaces(space, seed):
    codec = UnitCubeCodec(space)
    rng = np.random.default_rng(seed)
    for config in (space.default, space.sample(rng), space.sample(rng)):
        space.validate(config)
        point = codec.encode(config)
        assert point.shape == (codec.dim,) and point.dtype == np.float64
        active = np.array([label in config for label in space.labels], dtype=bool)
        assert np.array_equal(np.isnan(point), ~active)
        assert np.all((point[active] >= 0) & (point[active] <= 1))
        decoded = codec.decode(point)
        assert decoded == config
        assert [type(v) for v in decoded.values()] == [type(v) for v in config.values()]
        from_text = json.loads(json.dumps(config))
        assert from_text == config
        assert [type(v) for v in from_text.values()] == [type(v) for v in config.values()]


@SETTINGS
@given(spaces().map(search_space), st.data())
def test_every_point_of_the_cube_is_a_valid_config(space, data):
    codec = UnitCubeCodec(space)
    floats = st.lists(st.floats(-0.5, 1.5), min_size=codec.dim, max_size=codec.dim)
    config = codec.decode(data.draw(floats))
    space.validate(config)
    assert codec.decode(codec.encode(config)) == config


@SETTINGS
@given(spaces().map(search_space), st.integers(0, 2**32))
def test_the_space_itself_survives_json(space, seed):
    copy = SearchSpace.from_json(json.loads(json.dumps(space.to_json())))
    assert copy == space
    assert copy.default == space.default
    assert copy.size == space.size
    assert copy.sample(np.random.default_rng(seed)) == space.sample(np.random.default_rng(seed))


@SETTINGS
@given(spaces(finite=True))
def test_enumerate_gives_every_config_once_and_as_many_as_size_says(root):
    space = search_space(root)
    if space.size > 3000:
        return
    seen = [tuple((k, type(v), v) for k, v in c.items()) for c in space.enumerate()]
    assert len(seen) == len(set(seen)) == space.size
    drawn = space.sample(np.random.default_rng(0))
    assert tuple((k, type(v), v) for k, v in drawn.items()) in seen


@SETTINGS
@given(spaces(), st.integers(0, 2**32))
def test_every_config_builds_and_building_twice_gives_equal_objects(root, seed):
    space = search_space(root)
    config = space.sample(np.random.default_rng(seed))
    built = space.build(config)
    assert list(built) == [key for key, _ in space.root.children()]
    assert built == space.build(config)
