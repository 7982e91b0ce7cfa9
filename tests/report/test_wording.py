import math

import pytest

from autodl.report.wording import count, error_summary, format_duration, format_value


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0 s"),
        (0.04, "0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (3599.7, "1 h"),
        (3900, "1 h 5 min"),
        (3605, "1 h"),
        (86_400 * 2 + 3 * 3600 + 59, "2 d 3 h"),
        (math.inf, "unlimited"),
    ],
)
def test_durations(seconds, words):
    assert format_duration(seconds) == words


def test_values():
    assert [format_value(v) for v in (0.000123456, 3, True, None, "a", 1e-9)] == [
        "0.0001235",
        "3",
        "yes",
        "",
        "a",
        "1e-09",
    ]


def test_counts():
    assert [count(1, "class", "classes"), count(0, "trial"), count(2000, "file")] == [
        "1 class",
        "0 trials",
        "2,000 files",
    ]


def test_a_traceback_is_told_by_its_last_line_and_a_reason_by_its_first():
    assert error_summary("Traceback (most recent call last):\n  x\nValueError: bad\n") == "ValueError: bad"
    assert error_summary("worker died\ndetails") == "worker died"
    assert error_summary(None) == "no reason recorded"
    assert len(error_summary("x" * 500)) == 160
