from __future__ import annotations

import pytest
import torch
from torch import Tensor

from autodl.augment.bank import OpBank, Outcome
from autodl.augment.bank_search import BankMethod, best_pairs, choose, harmless, score_ops
from autodl.errors import OptionError

N = 200


def outcome(right: Tensor) -> Outcome:
    return Outcome(right.double(), 0.9 * right.double() + 0.05)


def rows(*spans: tuple[int, int]) -> Tensor:
    """(N,) 1 in the spans."""
    right = torch.zeros(N)
    for start, end in spans:
        right[start:end] = 1
    return right


def bank_of(plain: Tensor, **singles: Tensor) -> OpBank:
    return OpBank(outcome(plain), {(op, 1.0): outcome(right) for op, right in singles.items()})


def test_an_op_that_half_the_data_needs_is_found_though_it_gains_nothing_in_the_mean() -> None:
    bank = bank_of(rows((0, 100)), Invert=rows((100, 200)), Rotate=rows((0, 90)), Cutout=rows((0, 101)))
    assert score_ops(bank)["Invert"].drop == 0.0
    chosen, reward = choose(bank, ["Invert", "Rotate", "Cutout"], 10)
    assert {op for steps in chosen for op, *_ in steps} == {"Invert"}
    assert reward == pytest.approx(1 - 0.5**5, abs=0.01)


def test_half_an_image_is_no_reason_and_theta_s_sureness_decides() -> None:
    plain = rows((0, 100))
    bank = bank_of(plain, Rotate=rows((0, 160)), ShearX=rows((0, 160)))
    sure = bank.singles["ShearX", 1.0]
    bank.singles["ShearX", 1.0] = Outcome(sure.right, sure.sure + 0.04)
    chosen, _ = choose(bank, ["Rotate", "ShearX"], 5)
    assert {op for steps in chosen for op, *_ in steps} == {"ShearX"}


def test_a_pair_must_earn_its_place() -> None:
    half = rows((0, 100))
    bank = bank_of(half, Invert=rows((100, 150)), Rotate=rows((0, 90)))
    pair = (("Invert", 1.0), ("Rotate", 1.0))
    bank.pairs[pair] = outcome(rows((100, 151)))  # rescues one image more
    chosen, before = choose(bank, ["Invert", "Rotate"], 10)
    assert all(len(steps) == 1 for steps in chosen)
    bank.pairs[pair] = outcome(rows((100, 200)))  # what neither op can do
    chosen, after = choose(bank, ["Invert", "Rotate"], 10)
    assert any(len(steps) == 2 for steps in chosen)
    assert after > before + 0.1


def test_ops_that_only_harm_are_vetoed_and_those_that_rescue_are_not() -> None:
    plain = rows((0, 160))
    bank = bank_of(
        plain,
        Invert=rows(),  # changes the label
        Rotate=rows((160, 200)),  # a fifth of the data needs it, the rest cannot bear it
        Equalize=rows((0, 155)),  # a little
        Cutout=plain,
    )
    scores = score_ops(bank)
    assert {op for op, score in scores.items() if score.vetoed} == {"Invert", "Equalize"}
    assert scores["Invert"].drop == pytest.approx(0.8)
    assert scores["Rotate"].gain > 0.1


def test_at_most_three_are_vetoed_and_never_all() -> None:
    plain = rows((0, 190))
    harm = {op: rows((0, end)) for end, op in enumerate(["ShearX", "ShearY", "Rotate", "Invert", "Cutout"])}
    scores = score_ops(bank_of(plain, **harm))
    assert [op for op, score in scores.items() if score.vetoed] == ["ShearX", "ShearY", "Rotate"]
    scores = score_ops(bank_of(plain, Invert=rows()))
    assert not scores["Invert"].vetoed


def test_where_nothing_is_to_be_found_every_harmless_op_comes_once() -> None:
    plain = rows((0, 198))
    bank = bank_of(plain, AutoContrast=plain, Rotate=rows((0, 197)), Invert=rows((0, 50)))
    bank.singles["Rotate", 0.2] = outcome(plain)
    bank.singles["ShearX", 0.2] = outcome(plain)
    bank.singles["ShearX", 1.0] = outcome(rows((0, 120)))
    chosen, reward = choose(bank, ["AutoContrast", "Rotate", "Invert", "ShearX"], 10)
    assert sorted(chosen) == [
        (("AutoContrast", 0.5, 1.0),),
        (("Rotate", 0.5, 1.0),),
        (("ShearX", 0.5, 0.2),),
    ]
    assert reward == pytest.approx(0.99)
    assert harmless(bank, ["Invert"], 10) == [()]  # no op at all: the images as they are


def test_nothing_allowed_leaves_images_as_they_are() -> None:
    assert choose(bank_of(rows((0, 100)), Invert=rows()), [], 3) == ([()], 0.5)


def test_pairs_join_the_best_ops_within_the_budget() -> None:
    bank = bank_of(rows((0, 100)), Invert=rows((100, 200)), Rotate=rows((0, 150)), Cutout=rows((0, 101)))
    bank.singles["Rotate", 0.2] = outcome(rows((0, 180)))
    pairs = best_pairs(bank, ["Invert", "Rotate", "Cutout"], 45)
    assert len(pairs) == 3
    assert pairs[0] == (("Invert", 1.0), ("Rotate", 0.2))
    assert best_pairs(bank, ["Invert", "Rotate"], 0) == []


def test_bad_numbers_are_refused() -> None:
    with pytest.raises(OptionError, match="num_sub_policies"):
        BankMethod(num_sub_policies=0)
