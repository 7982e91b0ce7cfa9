"""Cells and entries as sources."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from autodl.data import decode
from autodl.data.opening import UnreadableImageError
from autodl.data.sources import ArrayImage, SharedDataset, as_source


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a/b.png", Path("/base/a/b.png")),
        (" a.png ", Path("/base/a.png")),
        ("/x/a.png", Path("/x/a.png")),
        ("file:///x/a.png", Path("/x/a.png")),
        ("a\\b.png", Path("/base/a/b.png")),
        (Path("c.png"), Path("/base/c.png")),
        ({"path": "c.png"}, Path("/base/c.png")),
    ],
)
def test_paths(value, expected):
    assert as_source(value, Path("/base")) == expected


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        *((value, "missing") for value in (None, pd.NA, np.nan, "", "http://x/a.png", "a\0b", {})),
        *((value, "unreadable") for value in (3, [1])),
    ],
)
def test_what_is_no_image_says_so_when_it_is_read(value, kind):
    with pytest.raises(UnreadableImageError) as caught:
        decode(as_source(value))
    assert caught.value.kind == kind


def test_the_key_of_an_array_holds_its_range():
    array = np.ones((3, 3))
    assert ArrayImage(array, (0, 1)).key() != ArrayImage(array, (0, 2)).key()


def test_a_users_data_set_is_read_by_one_thread_at_a_time():
    import threading
    import time
    from concurrent.futures import ThreadPoolExecutor

    inside, most = [], []

    class Fragile:
        def __getitem__(self, index):
            inside.append(threading.get_ident())
            most.append(len(inside))
            time.sleep(0.002)
            inside.pop()
            return index

    shared = SharedDataset(Fragile())
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(shared.read, range(20))) == list(range(20))
    assert max(most) == 1
