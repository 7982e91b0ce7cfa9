from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodl.searchers.features import Features
from autodl.spaces import Bool, Categorical, Dict, Int, Real, SearchSpace
from autodl.testing.searchers import SPACES

NESTED = SearchSpace(
    {
        "net": Categorical(
            {
                "a": Dict(n=Int(1, 4), act=Categorical({"x": Dict(p=Real(0, 1)), "y": None, "z": None})),
                "b": Dict(w=Int(1, 10**6)),
            }
        ),
        "flip": Bool(),
    }
)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([*SPACES.values(), NESTED]), st.integers(0, 10**6))
def test_canonical_rows_agree_with_decoding_and_encoding_again(space, seed):
    """The fast way for many rows and the codec's way for one are the same."""
    features, rng = Features(space), np.random.default_rng(seed)
    points = rng.uniform(-0.1, 1.1, (8, features.dim))
    rows, _ = features.canonical(points)
    for point, row in zip(points, rows, strict=True):
        config = features.decode(row)
        for wanted, read in zip(row, features.encode(config), strict=True):
            assert read == pytest.approx(wanted, abs=1e-6)  # 1e-6: half a bin of the Int of 10**6 values
        if not any(isinstance(p.domain, Int) and p.domain.log for p in space.parameters):
            assert config == features.decode(point)  # log bins are cut at slightly different places


def test_widened_choices_are_columns_of_their_own_and_inactive_ones_empty():
    features = Features(NESTED)
    row_a = features.encode({"net": "a", "net/a/n": 1, "net/a/act": "z", "flip": True})
    row_b = features.encode({"net": "b", "net/b/w": 500_000, "flip": False})
    # net (2 choices: one column), n, act (three columns), p, w, flip
    wide = features.widen(np.stack([row_a, row_b]))
    assert wide[0].tolist() == pytest.approx([0.25, 0.125, 0, 0, 1, 0.5, 0.5, 0.75])
    assert wide[1, [0, 1, 2, 3, 4, 5, 7]].tolist() == [0.75, 0.5, 0, 0, 0, 0.5, 0.25]
    assert 0.4 < wide[1, 6] < 0.6


def test_neighbours_are_configs_and_few_of_their_columns_differ():
    features = Features(SearchSpace({f"x{i}": Real(0, 1) for i in range(20)}))
    start = np.full((1, 20), 0.4)
    near = features.vary(start, 200, 0.01, np.random.default_rng(0))
    moved = (near != start).sum(axis=1)
    assert moved.min() >= 1
    assert moved.mean() < 5
    assert np.abs(near - start).max() < 0.06


def test_every_config_of_a_finite_space_is_a_neighbour_in_the_end():
    space = SPACES["finite"]
    features = Features(space)
    rows = np.stack([features.encode(space.default)])
    for _ in range(4):
        rows = np.unique(np.vstack([rows, features.vary(rows, 40, 0.01, np.random.default_rng(0))]), axis=0)
    assert len(rows) == space.size
