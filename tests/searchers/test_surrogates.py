from __future__ import annotations

import warnings

import numpy as np
import pytest

from autodl.searchers.surrogates import DATA_LIMITS, Surrogate


def wave(x):
    return np.sin(5 * x[:, 0]) + x[:, 1]


def fitted(kind, count=40):
    model = Surrogate(kind, seed=0)
    x = np.random.default_rng(0).random((count, 2))
    model.fit(x, wave(x))
    return model, x


@pytest.mark.parametrize("kind", DATA_LIMITS)
def test_predicts_what_it_learned_and_is_surer_there(kind):
    model, x = fitted(kind)
    mean, std = model.predict(x)
    assert np.corrcoef(mean, wave(x))[0, 1] > 0.95
    fresh = np.random.default_rng(1).random((50, 2))
    assert np.corrcoef(model.predict(fresh)[0], wave(fresh))[0, 1] > 0.8
    assert std.mean() < model.predict(fresh)[1].mean()


@pytest.mark.parametrize("kind", ["RF", "ET"])
def test_forests_predict_as_the_estimators_they_wrap(kind):
    model, _ = fitted(kind)
    at = np.random.default_rng(3).random((6, 2))
    for mine, theirs in zip(model.predict(at), model._model.predict(at, return_std=True), strict=True):
        assert mine == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize("kind", DATA_LIMITS)
def test_same_seed_same_predictions(kind):
    at = np.random.default_rng(2).random((5, 2))
    (mean, std), (mean_again, std_again) = (fitted(kind)[0].predict(at) for _ in range(2))
    assert (mean == mean_again).all()
    assert (std == std_again).all()


def test_believed_points_keep_their_mean_and_lose_their_spread():
    model = Surrogate("GP", seed=0)
    x = np.random.default_rng(0).random((12, 2)) * 0.5
    model.fit(x, wave(x))
    pending = np.array([[0.9, 0.9], [0.9, 0.1]])
    mean, std = model.predict(pending)
    model.believe(pending)
    mean_after, std_after = model.predict(pending)
    assert mean_after == pytest.approx(mean, abs=0.05)
    assert (std_after < std / 3).all()


def test_gaussian_process_predicts_as_the_estimator_it_wraps():
    model, _ = fitted("GP", count=15)
    at = np.random.default_rng(3).random((6, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its variances may be rounded below zero
        mean, std = model._model.predict(at, return_std=True)
    assert model.predict(at)[0] == pytest.approx(mean, abs=1e-6)
    assert model.predict(at)[1] == pytest.approx(std, abs=1e-2)


@pytest.mark.parametrize("kind", DATA_LIMITS)
@pytest.mark.parametrize("losses", [np.zeros(6), np.array([0, 0, 0, 0, 0, 2.0])])
def test_flat_losses_give_finite_predictions(kind, losses):
    model = Surrogate(kind, seed=0)
    x = np.repeat(np.random.default_rng(0).random((3, 2)), 2, axis=0)  # every point twice
    model.fit(x, losses)
    model.believe(x[:2])
    mean, std = model.predict(x)
    assert np.isfinite(mean).all()
    assert (std >= 0).all()
