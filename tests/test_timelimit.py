from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodl.errors import OptionError
from autodl.timelimit import parse_time_limit


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [
        (None, None),
        (600, 600.0),
        (0.5, 0.5),
        ("600", 600.0),
        ("90s", 90.0),
        ("10m", 600.0),
        ("1h30m", 5400.0),
        ("1h 30m", 5400.0),
        (" 2 hours ", 7200.0),
        ("1.5 H", 5400.0),
        ("1d", 86400.0),
        ("2min", 120.0),
        (timedelta(minutes=2), 120.0),
    ],
)
def test_understands(limit, seconds) -> None:
    assert parse_time_limit(limit) == seconds


@pytest.mark.parametrize(
    "limit",
    [
        0,
        -1,
        "0s",
        "-5m",
        float("nan"),
        float("inf"),
        True,
        "",
        "soon",
        "10x",
        "m",
        "1h30",
        "10 20",
        [60],
        b"60",
    ],
)
def test_refuses(limit) -> None:
    with pytest.raises(OptionError, match="time_limit"):
        parse_time_limit(limit)


@given(st.integers(0, 50), st.integers(0, 59), st.integers(1, 59))
def test_parts_add_up(hours: int, minutes: int, seconds: int) -> None:
    assert parse_time_limit(f"{hours}h{minutes}m{seconds}s") == hours * 3600 + minutes * 60 + seconds
