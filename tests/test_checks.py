from __future__ import annotations

import pytest

from autodl.checks import check_whole, is_whole
from autodl.errors import OptionError


@pytest.mark.parametrize("bad", [True, 2.0, "3", None, 1])
def test_refuses_what_is_no_whole_number_or_too_small(bad):
    assert not is_whole(bad, 2)
    with pytest.raises(OptionError, match=rf"^size must be a whole number >= 2, got {bad!r}$"):
        check_whole("size", bad, 2)


def test_takes_the_least():
    assert is_whole(2, 2)
    check_whole("size", 2, 2)
