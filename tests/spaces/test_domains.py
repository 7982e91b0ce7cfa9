import json
import math
import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodl.errors import SpaceError
from autodl.spaces import Bool, Int, Real

finite = st.floats(-1e12, 1e12, allow_subnormal=False)
positive = st.floats(1e-200, 1e200)


@st.composite
def reals(draw):
    log = draw(st.booleans())
    low, high = sorted(draw(st.lists(positive if log else finite, min_size=2, max_size=2)))
    return Real(low, high, log=log)


@st.composite
def ints(draw):
    log = draw(st.booleans())
    bounds = st.integers(1, 2**40) if log else st.integers(-(2**48), 2**48)
    low, high = sorted(draw(st.lists(bounds, min_size=2, max_size=2)))
    return Int(low, high, log=log)


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.one_of(reals(), ints()), st.floats(-0.5, 1.5))
def test_what_comes_from_the_unit_interval_survives_the_way_there_and_back(domain, point):
    value = domain.from_unit(point)
    assert domain.check(value) is None
    assert domain.from_unit(domain.to_unit(value)) == value
    assert json.loads(json.dumps(value)) == value


@settings(deadline=None, derandomize=True, max_examples=200)
@given(ints(), st.data())
def test_every_int_survives_the_way_there_and_back(domain, data):
    value = data.draw(st.integers(domain.low, domain.high))
    assert 0 <= domain.to_unit(value) <= 1
    assert domain.from_unit(domain.to_unit(value)) == value


@settings(deadline=None, derandomize=True, max_examples=200)
@given(reals(), st.data())
def test_any_real_comes_back_within_a_billionth(domain, data):
    value = data.draw(st.floats(domain.low, domain.high))
    scale = value if domain.log else domain.high - domain.low
    ulps = 16 * math.ulp(max(abs(domain.low), abs(domain.high)))
    # Where the range itself is but a few floats wide, rounding leaves the ends.
    tolerance = max(1e-9 * scale, 0.0 if domain.log else ulps * 8)
    assert abs(domain.from_unit(domain.to_unit(value)) - value) <= tolerance


def test_the_ends_of_the_interval_are_the_ends_of_the_range():
    domain = Real(0.1, math.pi)
    assert (domain.from_unit(0.0), domain.from_unit(1.0)) == (0.1, math.pi)
    assert (domain.from_unit(-3.0), domain.from_unit(7.0)) == (0.1, math.pi)


def test_log_gives_every_decade_the_same_share():
    domain = Real(1e-4, 1.0, log=True)
    assert domain.from_unit(0.25) == 1e-3
    assert domain.to_unit(0.1) == pytest.approx(0.75)


def test_int_holds_both_ends_equally_often():
    rng = np.random.default_rng(0)
    drawn = [Int(1, 4).sample(rng) for _ in range(4000)]
    counts = np.bincount(drawn, minlength=5)
    assert counts[0] == 0
    assert counts[1:].min() > 900


def test_log_int_draws_small_values_more_often_but_all_of_them():
    rng = np.random.default_rng(0)
    drawn = [Int(1, 8, log=True).sample(rng) for _ in range(2000)]
    assert set(drawn) == set(range(1, 9))
    assert drawn.count(1) > 3 * drawn.count(8)


def test_defaults_are_the_middle_geometric_with_log():
    assert Real(0, 1).default == 0.5
    assert Real(1e-4, 1e-2, log=True).default == 1e-3
    assert Int(1, 3).default == 2
    assert Int(16, 256, log=True).default == 64
    assert Bool().default is False
    assert Real(0, 1, default=0).default == 0.0


def test_sizes_and_values():
    assert (Real(0, 1).size, Real(2, 2).size, Int(-1, 1).size, Bool().size) == (None, 1, 3, 2)
    assert list(Real(2, 2).values()) == [2.0]
    assert list(Int(-1, 1).values()) == [-1, 0, 1]
    assert list(Bool().values()) == [False, True]
    with pytest.raises(SpaceError, match="infinitely many"):
        list(Real(0, 1).values())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Real(1, 0), "low must not be above high"),
        (lambda: Real(0, 1, log=True), "log=True needs low > 0"),
        (lambda: Real(0, math.inf), "high must be finite"),
        (lambda: Real(math.nan, 1), "low must be finite"),
        (lambda: Real("0", 1), "low must be a number, got '0'"),
        (lambda: Real(False, 1), "low must be a number"),
        (lambda: Real(-1e308, 1e308), "must be finite"),
        (lambda: Real(0, 1, log=1), "log must be True or False"),
        (lambda: Real(0, 1, default=2), r"default must lie in \[0.0, 1.0\], got 2.0"),
        (lambda: Int(3, 1), "low must not be above high"),
        (lambda: Int(0, 9, log=True), "log=True needs low > 0"),
        (lambda: Int(0.0, 9), "low must be an integer"),
        (lambda: Int(0, True), "high must be an integer"),
        (lambda: Int(0, 2**60), r"within \+-2\*\*53"),
        (lambda: Int(0, 2**52), "too wide"),
        (lambda: Int(1, 2**45, log=True), "too wide"),
        (lambda: Int(0, 9, default=1.0), "default must be an integer"),
        (lambda: Bool(1), "default must be True or False"),
    ],
)
def test_wrong_declarations_say_the_rule(make, message):
    with pytest.raises(SpaceError, match=message):
        make()


@pytest.mark.parametrize(
    ("domain", "good", "bad"),
    [
        (Real(0, 1), [0, 1, 0.5, np.float64(0.1)], [1.1, -1e-9, math.nan, math.inf, "0.5", True, None]),
        (Int(0, 9), [0, 9], [-1, 10, 1.0, True, "1", None, np.int64(3)]),
        (Bool(), [True, False], [0, 1, "True", None]),
    ],
)
def test_check_accepts_and_refuses(domain, good, bad):
    assert [domain.check(v) for v in good] == [None] * len(good)
    assert all(domain.check(v) for v in bad)


def test_domains_are_frozen_values():
    assert Real(0, 1) == Real(0.0, 1.0, default=0.5)
    assert len({Int(1, 2), Int(1, 2), Int(1, 3)}) == 2
    assert pickle.loads(pickle.dumps(Real(1, 2, log=True))) == Real(1, 2, log=True)
    with pytest.raises(FrozenInstanceError):
        Real(0, 1).low = 5


def test_numpy_bounds_become_plain_numbers():
    domain = Int(np.int64(1), np.int32(5))
    assert type(domain.low) is int and type(domain.high) is int
    assert type(Real(np.float32(0), np.int64(1)).high) is float


def test_repr_is_code():
    for domain in (Real(0.1, 1, log=True), Int(1, 9, default=3), Bool(True)):
        assert eval(repr(domain)) == domain
