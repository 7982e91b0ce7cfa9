from __future__ import annotations

import math

import pytest

from autodl.augment.gate import choose_augmentation, standard_error
from autodl.augment.random_policies import TrivialAugmentWide
from autodl.errors import OptionError


def decide(scores: dict[str, float], **options: object):
    return choose_augmentation(dict.fromkeys(scores), scores.__getitem__, **options)


def test_the_best_wins_and_equals_go_to_the_simplest() -> None:
    assert decide({"none": 0.90, "trivial": 0.95, "found": 0.93}).winner == "trivial"
    assert decide({"none": 0.95, "trivial": 0.95, "found": 0.95}).winner == "none"
    assert decide({"none": 0.90, "trivial": 0.91, "found": 0.915}, tolerance=0.02).winner == "none"


def test_the_augmentation_of_the_winner_comes_back() -> None:
    trivial = TrivialAugmentWide()
    scores = {"none": 0.5, "trivial": 0.6}
    decision = choose_augmentation({"none": None, "trivial": trivial}, scores.__getitem__)
    assert decision.augmentation is trivial
    assert decision.scores == scores
    assert decision.summary() == "trivial (none 0.5000, trivial 0.6000)"


def test_a_training_that_came_to_nothing_does_not_win() -> None:
    decision = decide({"none": math.nan, "trivial": -2.0, "found": math.nan})
    assert decision.winner == "trivial"
    assert decide({"none": math.nan, "found": math.nan}).winner == "none"


def test_without_time_the_rest_is_left_out_but_the_first_is_not() -> None:
    decision = decide({"none": 0.1, "trivial": 0.9, "found": 0.9}, has_time=lambda: False)
    assert decision.winner == "none"
    assert decision.skipped == ("trivial", "found")
    assert "no time for trivial, found" in decision.summary()


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(OptionError, match="at least one"):
        choose_augmentation({}, lambda name: 0.0)
    with pytest.raises(OptionError, match="tolerance"):
        decide({"none": 0.0}, tolerance=math.nan)
    with pytest.raises(OptionError, match="images"):
        decide({"none": 0.0}, images=0)


def test_a_gain_within_the_noise_of_few_images_does_not_count():
    accuracy = {"none": 0.975, "trivial": 0.975, "found": 0.98}
    few = choose_augmentation(dict.fromkeys(accuracy), accuracy.__getitem__, images=200)
    many = choose_augmentation(dict.fromkeys(accuracy), accuracy.__getitem__, images=20_000)
    assert (few.winner, many.winner) == ("none", "found")


def test_the_standard_error_is_that_of_two_binomial_shares():
    assert standard_error(0.9, 10_000) == pytest.approx(math.sqrt(2 * 0.9 * 0.1 / 10_000), rel=1e-3)
    assert standard_error(1.0, 100) > 0  # all right by luck is no proof
