from __future__ import annotations

import time

import pytest
import torch

from autodl.augment import search_policy
from autodl.augment.fold_jobs import _Job, make_result
from autodl.augment.folds import shuffle_splits
from autodl.augment.search_result import FoldResult
from autodl.errors import AutoDLError
from tests.augment.made_searches import QUICK, small_digits


def fold(index: int, sub_policies: tuple, weights: tuple[float, ...]) -> FoldResult:
    split = shuffle_splits(small_digits(40)[1] % 2, 1)[0]
    return FoldResult(index, split, 0.5, sub_policies, weights, 0.9, 10, 1.0, 0.5)


def test_folds_count_alike_and_equal_sub_policies_become_one() -> None:
    invert, rotate = (("Invert", 1.0, 0.0),), (("Rotate", 1.0, 0.5),)
    result = make_result([fold(1, (rotate,), (10.0,)), fold(0, (invert, rotate), (1.0, 1.0))], "bank", 1.0, 2)
    assert [each.index for each in result.folds] == [0, 1]
    assert result.policy.weights == pytest.approx((0.25, 0.75))
    assert result.op_weights == pytest.approx({"Rotate": 0.75, "Invert": 0.25})


def test_time_is_shared_among_the_rounds_of_folds() -> None:
    class Task:
        splits = (None,) * 5

    job = _Job(Task(), time.time() + 60, num_workers=2)  # type: ignore[arg-type]
    assert [round(job._left_s(index) or 0) for index in range(5)] == [20, 20, 30, 30, 60]
    assert _Job(Task(), None, 2)._left_s(0) is None  # type: ignore[arg-type]


def test_a_network_that_does_not_fit_shows_its_own_error() -> None:
    images, labels = small_digits(120)
    with pytest.raises(AutoDLError, match="mat1 and mat2"):
        search_policy(
            images,
            labels,
            folds=1,
            net=lambda k: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(7, k)),
            theta=QUICK,
        )


def test_ctrl_c_ends_the_search_and_what_it_is_a_part_of() -> None:
    images, labels = small_digits(120)

    def pressed(classes: int) -> torch.nn.Module:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search_policy(images, labels, folds=2, net=pressed, theta=QUICK)
