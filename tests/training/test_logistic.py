from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from autodl.errors import OptionError
from autodl.training.logistic import HeadOptions, train_head


def made(n: int = 120, d: int = 20, k: int = 3, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = rng.integers(0, k, n)
    features = rng.normal(size=(n, d)) * rng.uniform(0.1, 10, d) + rng.normal(size=d)
    features[np.arange(n), y] += spread
    return features.astype(np.float32), y


@pytest.mark.parametrize("l2", [1.0, 30.0])
def test_agrees_with_scikit_learn(l2):
    features, y = made()
    head = train_head(features, y, options=HeadOptions(l2=l2, max_iterations=500))
    scaler = StandardScaler().fit(features)
    model = LogisticRegression(C=1 / l2, max_iter=5000, tol=1e-8).fit(scaler.transform(features), y)
    np.testing.assert_allclose(
        head.probs(features), model.predict_proba(scaler.transform(features)), atol=0.01
    )


def test_class_weights_agree_with_scikit_learn():
    features, y = made()
    weight = np.array([3.0, 1.0, 0.5])
    head = train_head(
        features, y, options=HeadOptions(l2=10, max_iterations=500), class_weight=weight / weight[y].mean()
    )
    scaler = StandardScaler().fit(features)
    model = LogisticRegression(C=0.1, max_iter=5000, tol=1e-8)
    model.fit(scaler.transform(features), y, sample_weight=weight[y] / weight[y].mean())
    np.testing.assert_allclose(
        head.probs(features), model.predict_proba(scaler.transform(features)), atol=0.01
    )


def test_the_head_works_on_raw_features_as_a_torch_layer():
    features, y = made()
    head = train_head(features, y)
    with torch.no_grad():
        logits = head.to_linear()(torch.from_numpy(features)).numpy()
    np.testing.assert_allclose(logits, head.logits(features), atol=1e-4)
    assert head.weight.dtype == head.bias.dtype == np.float32


def test_views_count_as_one_image():
    features, y = made()
    once = train_head(features, y, options=HeadOptions(max_iterations=500))
    thrice = train_head(np.stack([features] * 3), y, options=HeadOptions(max_iterations=500))
    np.testing.assert_allclose(once.probs(features), thrice.probs(features), atol=2e-3)
    np.testing.assert_allclose(once.logits(np.stack([features] * 2)), once.logits(features), atol=1e-5)


def test_smoothing_makes_it_less_sure():
    features, y = made(spread=30)
    sure, smooth = (
        train_head(features, y, options=HeadOptions(l2=0.01, label_smoothing=s)).probs(features).max(1).mean()
        for s in (0.0, 0.2)
    )
    assert sure > 0.97 and 0.8 < smooth < 0.92


def test_a_start_goes_on_from_there():
    features, y = made(spread=5)
    done = train_head(features, y, options=HeadOptions(l2=5, max_iterations=300))
    one = HeadOptions(l2=5, max_iterations=1)
    gone_on = train_head(features, y, options=one, start=done)
    np.testing.assert_allclose(gone_on.probs(features), done.probs(features), atol=5e-3)
    assert np.abs(train_head(features, y, options=one).probs(features) - done.probs(features)).max() < 0.5


def test_a_deadline_that_has_passed_still_gives_a_head():
    features, y = made(spread=30)
    head = train_head(features, y, deadline=time.monotonic() - 1)
    assert (head.probs(features).argmax(1) == y).mean() > 0.9


def test_dead_features_do_no_harm():
    features, y = made(spread=30)
    features[:, 7] = 3.0
    features[0, 9] += 1e-9
    head = train_head(features, y, options=HeadOptions(l2=1))
    assert np.isfinite(head.weight).all()
    assert (head.probs(features).argmax(1) == y).mean() > 0.9


def test_classes_without_images_have_a_place():
    features, y = made()
    probs = train_head(features, y, num_classes=5).probs(features)
    assert probs.shape == (120, 5)
    assert probs[:, 3:].max() < 0.2


def test_the_features_are_left_alone():
    features, y = made()
    before = features.copy()
    train_head(features, y)
    assert (features == before).all()


def test_as_fast_as_promised():
    rng = np.random.default_rng(0)
    features, y = rng.normal(size=(244, 1280)).astype(np.float32), rng.integers(0, 2, 244)
    started = time.process_time()
    train_head(features, y)
    assert time.process_time() - started < 1.0


@pytest.mark.parametrize(
    ("features", "y", "classes", "message"),
    [
        (np.zeros((3, 2)), np.zeros(4, int), None, "do not fit 4 labels"),
        (np.zeros((0, 2)), np.zeros(0, int), 2, "do not fit"),
        (np.full((2, 2), np.nan), np.array([0, 1]), None, "NaN or infinity"),
        (np.zeros((2, 2)), np.array([0, 4]), 3, r"\[0, 3\), got 0..4"),
    ],
)
def test_misfits_are_refused(features, y, classes, message):
    with pytest.raises(OptionError, match=message):
        train_head(features, y, num_classes=classes)


def test_wrong_options_are_refused():
    with pytest.raises(OptionError, match="l2"):
        HeadOptions(l2=-1)
