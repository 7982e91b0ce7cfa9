"""What a trial leaves behind: whole or not at all."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from autodl.tasks.member import SPEC_FILE, VALIDATION_FILE, Member, load_state
from tests.tasks import made

STATE = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(2)}


def saved(directory):
    member = made.member(7, [1, 4], [[0.2, 0.3, 0.5], [1, 0, 0]], flip=True)
    member.save(directory, STATE)
    return member


def test_comes_back_as_it_was(tmp_path):
    member, again = saved(tmp_path / "new" / "7"), Member.load(tmp_path / "new" / "7")
    assert (again.trial_id, again.network, again.frozen, again.flip) == (7, member.network, False, True)
    np.testing.assert_array_equal(again.rows, member.rows)
    np.testing.assert_array_equal(again.probs, member.probs)
    state = load_state(tmp_path / "new" / "7")
    assert all(torch.equal(state[name], STATE[name]) for name in STATE)


def test_is_none_where_a_trial_left_nothing_or_only_a_part(tmp_path):
    assert Member.load(tmp_path / "nothing") is None
    for name in (SPEC_FILE, VALIDATION_FILE):
        saved(tmp_path / name)
        (tmp_path / name / name).unlink()
        assert Member.load(tmp_path / name) is None


@pytest.mark.parametrize("name", [SPEC_FILE, VALIDATION_FILE])
def test_is_none_where_a_file_is_torn(tmp_path, name):
    saved(tmp_path)
    content = (tmp_path / name).read_bytes()
    for length in (0, 1, len(content) // 2, len(content) - 1):
        (tmp_path / name).write_bytes(content[:length])
        assert Member.load(tmp_path) is None, length
