from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from autodl.augment import bank_search, fast_autoaugment, search_policy
from autodl.augment.bank_search import MOST_FORWARDS
from autodl.errors import DataError, LabelError, OptionError, TrialError, UnknownNameError
from autodl.searchers.registry import get_searcher
from tests.augment.made_searches import QUICK, planted_invert, planted_polarity, small_digits, tiny_net

TINY = {"net": tiny_net, "theta": QUICK}


def test_a_planted_shift_is_found_for_a_sixth_of_the_forwards() -> None:
    images, labels, split = planted_invert(0)
    result = bank_search(images, labels, folds=[split], **TINY)
    weights = result.op_weights
    assert next(iter(weights)) == "Invert"
    assert weights["Invert"] >= 0.7
    assert result.forwards <= MOST_FORWARDS * 200
    assert result.folds[0].split == split
    assert result.is_complete
    changed = result.policy(images[:64], torch.Generator().manual_seed(0))
    assert changed.shape == (64, 3, 16, 16) and changed.dtype == torch.uint8


def test_an_op_that_changes_the_label_is_kept_out() -> None:
    images, labels, split = planted_polarity(0)
    result = bank_search(images, labels, folds=[split], **TINY)
    assert result.folds[0].accuracy > 0.9
    assert result.folds[0].ops["Invert"].vetoed
    assert "Invert" not in result.op_weights
    assert "kept out as harmful" in result.summary()


def test_the_published_search_keeps_the_best_of_its_trials() -> None:
    images, labels, split = planted_invert(0)
    result = fast_autoaugment(images, labels, trials=12, top=3, folds=[split], **TINY)
    (fold,) = result.folds
    assert len(fold.trials) == 12
    assert fold.forwards == (12 * 5 + 1) * 200
    chosen = [trial.reward for trial in fold.trials if trial.selected]
    assert sorted(chosen, reverse=True) == sorted((t.reward for t in fold.trials), reverse=True)[:3]
    assert 3 < len(result.policy.sub_policies) <= 15
    assert all(t.reward == t.rewards["any_of"] >= t.rewards["accuracy"] for t in fold.trials)


@pytest.mark.parametrize("searcher", ["random", "object"])
def test_any_searcher_will_do(searcher: str) -> None:
    images, labels = small_digits(200)
    given = get_searcher("random") if searcher == "object" else searcher
    options = {"trials": 2, "top": 1, "draws": 1, "folds": 2, "searcher": given, "reward": "loss"}
    result = fast_autoaugment(images, labels, **options, **TINY)
    assert len(result.trials) == 4
    first, second = (fold.trials[0].sub_policies for fold in result.folds)
    assert first != second  # folds draw for themselves


def test_a_fold_depends_on_seed_and_index_alone() -> None:
    images, labels = small_digits(300)
    for options in ({"method": "bank"}, {"method": "fast_aa", "trials": 3}):
        both = search_policy(images, labels, folds=2, seed=5, **options, **TINY)
        one = search_policy(images, labels, folds=1, seed=5, **options, **TINY)
        assert both.folds[0].sub_policies == one.folds[0].sub_policies
        assert both.folds[0].reward == one.folds[0].reward
        other = search_policy(images, labels, folds=1, seed=6, **options, **TINY)
        assert other.folds[0].split != one.folds[0].split


def test_the_same_policy_for_any_number_of_workers() -> None:
    images, labels = small_digits(240)
    options = {"method": "fast_aa", "trials": 3, "folds": 2, "seed": 1, **TINY}
    one = search_policy(images, labels, num_workers=1, **options)
    two = search_policy(images, labels, num_workers=2, **options)
    assert one.policy == two.policy
    assert one.folds[1].trials == two.folds[1].trials


def test_the_time_limit_is_kept_and_what_was_found_comes_back() -> None:
    images, labels = small_digits(300)
    started = time.monotonic()
    result = fast_autoaugment(images, labels, trials=10_000, folds=2, time_limit_s=8, **TINY)
    assert time.monotonic() - started < 8 + 4
    assert not result.is_complete
    assert result.folds[0].trials
    assert result.policy.sub_policies
    assert "time limit" in result.summary()


def test_no_time_at_all_is_an_error_that_says_so() -> None:
    images, labels = small_digits(200)
    with pytest.raises(TrialError, match="time_limit_s leaves no time"):
        search_policy(images, labels, folds=2, time_limit_s=0.001, **TINY)


def test_global_generators_are_left_alone() -> None:
    images, labels = small_digits(120)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    search_policy(images, labels, folds=1, num_sub_policies=2, use_pairs=False, **TINY)
    assert torch.equal(torch.get_rng_state(), before)


def test_bad_input_is_refused_before_anything_runs() -> None:
    images, labels = small_digits(120)
    with pytest.raises(UnknownNameError, match="bank, fast_aa"):
        search_policy(images, labels, method="faa")
    with pytest.raises(OptionError, match="draw"):
        search_policy(images, labels, method="bank", draw=3)
    with pytest.raises(OptionError, match="name"):
        search_policy(images, labels, method="bank", name="mine")
    with pytest.raises(OptionError, match="folds"):
        search_policy(images, labels, folds=2.5)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="net must be"):
        search_policy(images, labels, net="resnet18")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="time_limit"):
        search_policy(images, labels, time_limit_s=-1)
    with pytest.raises(OptionError, match="seed"):
        search_policy(images, labels, seed=-1)
    with pytest.raises(DataError, match="uint8"):
        search_policy(images.float() / 255, labels)
    with pytest.raises(LabelError, match="two classes"):
        search_policy(images, np.zeros(120, int))
    with pytest.raises(LabelError, match="each class needs 4"):
        search_policy(images, np.arange(120) // 3)
