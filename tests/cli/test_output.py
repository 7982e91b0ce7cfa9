import json
import math
from pathlib import Path

import numpy as np
import pytest

from autodl.cli.output import format_table, plain, write_bytes, write_json, write_pairs


def test_json_is_strict_and_ascii(capsys):
    write_json(
        {"é": np.float32(0.5), "nan": math.nan, "path": Path("a/b"), "rows": (np.int64(3), None, True)}
    )
    text = capsys.readouterr().out
    assert text.isascii()
    assert json.loads(text) == {"é": 0.5, "nan": None, "path": "a/b", "rows": [3, None, True]}


def test_keys_that_are_not_text_become_text():
    assert plain({3: np.inf}) == {"3": None}


def test_a_table_is_aligned_and_leaves_empty_columns_out():
    text = format_table(["id", "score", "error", "net"], [[0, 0.5, "", "small"], [10, math.nan, None, "b"]])
    assert text.splitlines() == ["id  score  net", " 0    0.5  small", "10         b"]


def test_a_table_without_rows_is_its_header():
    assert format_table(["id", "score"], []) == "id  score"


def test_pairs_are_aligned(capsys):
    write_pairs([("f1", "0.5"), ("accuracy", "1.0")])
    assert capsys.readouterr().out == "f1        0.5\naccuracy  1.0\n"


@pytest.mark.parametrize("content", [b"a\n", "café\n".encode(), b"\xe9\n"])
def test_bytes_reach_stdout_and_files_unchanged(content, tmp_path, capfdbinary):
    write_bytes(content, tmp_path / "new" / "file")
    write_bytes(content, None)
    assert (tmp_path / "new" / "file").read_bytes() == content
    assert capfdbinary.readouterr().out == content
