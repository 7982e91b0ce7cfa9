from __future__ import annotations

import numpy as np
import pytest

from autodl.searchers.gp_acquisition import LogExpectedImprovement
from autodl.searchers.gp_fit import Hyperparameters
from autodl.searchers.mobster_fit import CurveEvidence, CurveParameters, fit_curves, prior_vector
from autodl.searchers.mobster_kernel import Decay
from autodl.searchers.mobster_process import CurveProcess

GROUPS = np.array([0, 1, 1])


def decay(delta: float) -> Decay:
    return Decay(power=1.5, rate=0.4, start=2.0, delta=delta, mean=-0.7)


def process(x: np.ndarray, resource: np.ndarray, y: np.ndarray, *, delta: float = 0.6) -> CurveProcess:
    configs = Hyperparameters(np.array([0.4, 0.8]), 1.3, 1e-6)
    return CurveProcess(x, resource, y[:, None], GROUPS, CurveParameters(configs, decay(delta)))


def test_the_decay_is_one_at_the_start_and_dies_out():
    assert decay(0.5).kappa(np.array([0.0]))[0] == 1.0
    assert decay(0.5).kappa(np.array([1e9]))[0] < 1e-12
    assert (np.diff(decay(0.5).kappa(np.arange(20.0))) < 0).all()


def test_with_delta_one_all_curves_start_at_gamma():
    factor, added = decay(1.0).factors(np.zeros(1), np.zeros(1))
    assert factor[0, 0] == pytest.approx(0.0, abs=1e-12)
    assert added[0, 0] == pytest.approx(0.0, abs=1e-12)
    assert decay(1.0).means(np.zeros(1))[0] == pytest.approx(2.0)


def test_far_out_only_the_configs_differ():
    far = np.array([1e9])
    factor, added = decay(0.6).factors(far, far)
    assert factor[0, 0] == pytest.approx(1.0)
    assert added[0, 0] == pytest.approx(0.0, abs=1e-9)
    assert decay(0.6).means(far)[0] == pytest.approx(-0.7)


@pytest.mark.parametrize("delta", [0.0, 0.5, 1.0])
def test_the_covariance_is_positive_definite(delta):
    rng = np.random.default_rng(0)
    x, resource = rng.random((30, 3)), rng.integers(1, 28, 30).astype(float)
    made = process(x, resource, rng.normal(size=30), delta=delta)
    gram = made.covariance(x, resource, x / np.array([0.4, 0.8, 0.8]), resource)
    assert np.allclose(gram, gram.T)
    assert np.linalg.eigvalsh(gram).min() > 0


def test_the_gradient_of_the_evidence_is_that_of_finite_differences():
    rng = np.random.default_rng(1)
    resource, y = rng.choice([1.0, 3.0, 9.0], 20), rng.normal(size=20)
    evidence = CurveEvidence(rng.random((20, 3)), resource, y, GROUPS)
    vector = prior_vector(2)[0] + 0.3 * rng.normal(size=9)
    steps = np.eye(9) * 1e-6
    numeric = [(evidence(vector + step)[0] - evidence(vector - step)[0]) / 2e-6 for step in steps]
    assert evidence(vector)[1] == pytest.approx(numeric, rel=1e-4, abs=1e-4)


def test_parameters_survive_the_vector():
    vector = prior_vector(2)[0]
    assert CurveParameters.from_vector(vector).as_vector() == pytest.approx(vector)


def test_the_gradient_of_a_prediction_is_that_of_finite_differences():
    rng = np.random.default_rng(2)
    model = process(rng.random((12, 3)), rng.choice([1.0, 3.0], 12), rng.normal(size=12)).at(9.0)
    point = rng.random(3)
    means, deviation, by_means, by_deviation = model.predict_with_gradient(point)
    assert means == pytest.approx(model.predict(point[None])[0][0])
    assert deviation == pytest.approx(model.predict(point[None])[1][0])
    for i, step in enumerate(np.eye(3) * 1e-6):
        up, down = model.predict((point + step)[None]), model.predict((point - step)[None])
        assert by_means[0, i] == pytest.approx((up[0] - down[0])[0, 0] / 2e-6, rel=1e-3, abs=1e-5)
        assert by_deviation[i] == pytest.approx((up[1] - down[1])[0] / 2e-6, rel=1e-3, abs=1e-5)


def test_nothing_is_expected_where_a_trial_is_pending():
    rng = np.random.default_rng(3)
    x, y = rng.random((10, 3)), rng.normal(size=10)
    pending = rng.random((2, 3))
    at = np.full(2, 9.0)
    made = process(x, np.full(10, 9.0), y).fantasise(pending, at, rng.standard_normal((2, 8)))
    value = LogExpectedImprovement(made.at(9.0))
    assert np.exp(value(pending)).max() < 1e-2 * np.exp(value(rng.random((200, 3)))).max()


def test_the_fit_extrapolates_curves_it_has_seen_the_start_of():
    rng = np.random.default_rng(4)
    x = rng.random((24, 3))
    asymptote = 4.0 * (x[:, 0] - 0.3) ** 2
    rungs = [(x[: 24 // 3**k], np.full(24 // 3**k, 3.0**k)) for k in range(3)]
    features, resource = np.vstack([r[0] for r in rungs]), np.concatenate([r[1] for r in rungs])
    end = np.concatenate([asymptote[: len(r[0])] for r in rungs])
    y = end + (3.0 - end) * (1.0 / (1.0 + resource))
    found = fit_curves(features, resource, y - 1.5, GROUPS)
    model = CurveProcess(features, resource, (y - 1.5)[:, None], GROUPS, found).at(27.0)
    predicted = model.predict(x)[0][:, 0]
    assert np.corrcoef(predicted, asymptote)[0, 1] > 0.9
