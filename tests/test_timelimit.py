from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodl.errors import OptionError
from autodl.timelimit import parse_time_limit


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [
        (600, 600.0),
        (0.5, 0.5),
        (np.int64(3), 3.0),
        (np.float32(1.5), 1.5),
        ("90s", 90.0),
        ("10m", 600.0),
        ("1h30m", 5400.0),
        ("1h 30m 5s", 5405.0),
        ("1.5 hours", 5400.0),
        (".5h", 1800.0),
        ("2d", 172800.0),
        ("10 minutes", 600.0),
        ("10min", 600.0),
        ("1 hr", 3600.0),
        (" 10M ", 600.0),
        ("600", 600.0),
        (timedelta(minutes=2), 120.0),
        (None, None),
    ],
)
def test_what_people_write(limit, seconds):
    result = parse_time_limit(limit)
    assert result == seconds
    assert result is None or type(result) is float


@pytest.mark.parametrize(
    "limit", [0, -1, "0s", "-5m", "0", timedelta(0), float("nan"), float("inf"), "inf", "nan"]
)
def test_nothing_below_or_beyond(limit):
    with pytest.raises(OptionError, match=r"time_limit .*(positive and finite|not understood)"):
        parse_time_limit(limit)


@pytest.mark.parametrize(
    "limit",
    ["", "  ", "soon", "10 parsecs", "m", "1m2", "30m1h", "1h1h", "1,5h", "1e", "10 m s", "1h30", "10 20"],
)
def test_nonsense_is_shown_with_what_to_write(limit):
    with pytest.raises(OptionError, match="is not understood; write '90s', '10m', '1h30m' or seconds"):
        parse_time_limit(limit)


@pytest.mark.parametrize("limit", [True, False, [10], {"m": 1}, b"10m"])
def test_other_types_are_refused(limit):
    with pytest.raises(OptionError, match="must be seconds, a text"):
        parse_time_limit(limit)


@settings(deadline=None, derandomize=True)
@given(st.integers(0, 50), st.integers(0, 59), st.integers(1, 59))
def test_parts_add_up(hours, minutes, seconds):
    assert parse_time_limit(f"{hours}h{minutes}m{seconds}s") == hours * 3600 + minutes * 60 + seconds
