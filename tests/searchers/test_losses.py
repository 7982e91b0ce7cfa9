from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodl.searchers.losses import capped, standardised

scores = st.lists(
    st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)), min_size=1, max_size=40
)


@given(scores.filter(lambda s: any(x is not None for x in s)))
def test_losses_are_standardised_and_keep_the_order_of_scores(scores):
    losses = standardised(scores)
    assert np.isfinite(losses).all()
    assert abs(losses.mean()) < 1e-6
    known = [(score, loss) for score, loss in zip(scores, losses, strict=True) if score is not None]
    for (a, loss_a), (b, loss_b) in pairwise(known):
        assert a == b or (a > b) == (loss_a < loss_b) or loss_a == loss_b


def test_failed_trial_counts_as_the_worst():
    losses = standardised([0.9, None, 0.2, 0.8])
    assert losses[1] == losses[2] == losses.max()


def test_a_diverged_trial_leaves_the_good_ones_apart():
    losses = standardised([0.9, 0.8, 0.7, -1e12])
    assert losses[1] - losses[0] > 0.3


@given(st.integers(3, 60), st.integers(4, 30))
def test_capped_keeps_the_best_and_the_latest(count, limit):
    scores = list(np.random.default_rng(count).random(count))
    chosen = capped(scores, limit)
    assert len(chosen) == min(count, limit)
    assert chosen == sorted(set(chosen))
    assert int(np.argmax(scores)) in chosen
    if count > limit:
        best = sorted(range(count), key=lambda i: -scores[i])[: limit // 2]
        assert set(best) <= set(chosen)
        assert set(range(count - (limit - limit // 2), count)) <= set(chosen)


def test_failed_trials_are_the_first_to_be_left_out_of_the_best():
    assert capped([None, 0.1, None, 0.2, None, None], 4) == [1, 3, 4, 5]


def test_one_score_is_no_problem():
    assert standardised([0.5]) == pytest.approx([0.0])
