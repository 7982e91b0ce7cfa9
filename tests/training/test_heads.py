from __future__ import annotations

import numpy as np
import pytest

from autodl.errors import OptionError
from autodl.training.heads import average_heads, cross_validate_head, tune_l2
from autodl.training.logistic import HeadOptions, LinearHead, train_head


def made(n: int = 90, d: int = 30, signal: float = 2.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.arange(n) % 3
    features = rng.normal(size=(n, d))
    features[np.arange(n), y] += signal
    return features.astype(np.float32), y, (np.arange(n) // 3) % 5


def test_each_row_is_predicted_by_a_head_that_has_not_seen_it():
    features, y, folds = made()
    result = cross_validate_head(features, y, folds)
    inside = np.flatnonzero(folds != 2)
    alone = train_head(features[inside], y[inside])
    outside = folds == 2
    np.testing.assert_allclose(result.oof_probs[outside], alone.probs(features[outside]), atol=1e-6)
    assert len(result.heads) == 5
    np.testing.assert_allclose(result.oof_probs.sum(1), 1, atol=1e-5)


def test_noise_is_not_learnt_out_of_fold():
    features, y, folds = made(signal=0.0)
    result = cross_validate_head(features, y, folds, options=HeadOptions(l2=0.1))
    assert (result.heads[0].probs(features).argmax(1) == y).mean() > 0.7
    assert (result.oof_probs.argmax(1) == y).mean() < 0.55


def test_the_averaged_head_is_the_mean_of_the_logits():
    features, y, folds = made()
    result = cross_validate_head(features, y, folds)
    mean = np.mean([head.logits(features) for head in result.heads], axis=0)
    np.testing.assert_allclose(result.head.logits(features), mean, atol=1e-4)


def test_views_stay_in_their_fold_and_predictions_may_use_others():
    features, y, folds = made()
    views = np.stack([features, features + 0.1])
    result = cross_validate_head(views, y, folds, eval_features=views[:1])
    direct = cross_validate_head(views, y, folds, eval_features=features)
    np.testing.assert_allclose(result.oof_probs, direct.oof_probs, atol=1e-6)


def test_tune_l2_finds_the_penalty_of_the_lowest_loss():
    features, y, folds = made(signal=1.0)
    grid = (1e-3, 1.0, 10.0, 1e5)

    def loss(l2: float) -> float:
        probs = cross_validate_head(features, y, folds, options=HeadOptions(l2=l2)).oof_probs
        return -np.log(probs[np.arange(90), y]).mean()

    best = tune_l2(features, y, folds, grid=grid)
    assert best.options.l2 == min(grid, key=loss) == 10.0


def test_weighted_average():
    heads = [LinearHead(np.full((2, 3), v, np.float32), np.full(2, v, np.float32)) for v in (0.0, 4.0)]
    assert average_heads(heads, np.array([0.75, 0.25])).weight.tolist() == [[1.0] * 3] * 2
    assert average_heads(heads).bias.tolist() == [2.0, 2.0]


def test_an_empty_grid_is_refused():
    with pytest.raises(OptionError, match="grid"):
        tune_l2(*made(), grid=())
