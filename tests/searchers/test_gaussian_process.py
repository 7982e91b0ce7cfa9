from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.special import ndtr

from autodl.searchers.gaussian_process import GaussianProcess, cholesky
from autodl.searchers.gp_acquisition import LogExpectedImprovement, log_h
from autodl.searchers.gp_fit import Evidence, Hyperparameters, Priors
from autodl.searchers.matern import grouped_squares, matern52, squared_distances

GROUPS = np.array([0, 1, 2, 2])


def data(n=25, d=4):
    rng = np.random.default_rng(0)
    x = rng.random((n, d))
    y = np.sin(5 * x[:, 0]) + x[:, 1] ** 2
    return x, (y - y.mean()) / y.std()


def process(noise=1e-4):
    x, y = data()
    return GaussianProcess(x, y, GROUPS, Hyperparameters(np.array([0.4, 0.8, 2.0]), 1.5, noise))


def test_kernel_at_known_distances():
    a = np.sqrt(5) * 2.0
    assert matern52(np.array([0.0, 4.0])) == pytest.approx([1.0, (1 + a + a * a / 3) * np.exp(-a)])


def test_grouped_squares_add_up_to_the_squared_distances():
    x, _ = data(6)
    squares = grouped_squares(x, GROUPS)
    assert squares.shape == (3, 15)
    assert squares.sum(axis=0) == pytest.approx(squared_distances(x, x)[np.triu_indices(6, 1)])


def test_gradient_of_the_evidence_is_that_of_finite_differences():
    x, y = data()
    evidence = Evidence(x, y, GROUPS, Priors())
    logs = np.array([0.1, -0.3, 0.2, 0.1, -3.0])
    _, gradient = evidence(logs)
    assert gradient == pytest.approx(approx_fprime(logs, lambda p: evidence(p)[0], 1e-6), rel=1e-3, abs=1e-4)


def test_gradients_of_a_prediction_are_those_of_finite_differences():
    gp, point = process(), np.array([0.3, 0.6, 0.2, 0.8])
    mean, deviation, by_mean, by_deviation = gp.predict_with_gradient(point)
    means, deviations = gp.predict(point[None])
    assert mean == pytest.approx(means[0])
    assert deviation == pytest.approx(deviations[0])
    assert by_mean[0] == pytest.approx(
        approx_fprime(point, lambda p: gp.predict(p[None])[0][0, 0], 1e-7), abs=1e-4
    )
    assert by_deviation == pytest.approx(
        approx_fprime(point, lambda p: gp.predict(p[None])[1][0], 1e-7), abs=1e-4
    )


def test_passes_through_the_data_where_there_is_no_noise():
    gp = process(noise=1e-10)
    means, deviations = gp.predict(gp.x)
    assert means[:, 0] == pytest.approx(gp.y, abs=1e-4)
    assert deviations.max() < 1e-3
    assert process(noise=0.1).fitted() == pytest.approx(process(noise=0.1).predict(gp.x)[0])


def test_fit_tells_features_that_matter_from_those_that_do_not():
    x, y = data(60)
    gp = GaussianProcess.fit(x, y, GROUPS)
    scales = gp.hyperparameters.scales
    assert scales[0] < scales[1] < scales[2]
    new = np.random.default_rng(1).random((200, 4))
    truth = np.sin(5 * new[:, 0]) + new[:, 1] ** 2
    known = np.sin(5 * x[:, 0]) + x[:, 1] ** 2
    error = gp.predict(new)[0][:, 0] - (truth - known.mean()) / known.std()
    assert np.sqrt(np.mean(error**2)) < 0.05


def test_fantasies_are_samples_of_what_is_predicted():
    gp, points = process(), np.array([[0.9, 0.9, 0.1, 0.1], [0.05, 0.1, 0.9, 0.9]])
    normals = np.random.default_rng(0).standard_normal((2, 2000))
    drawn = gp.fantasise(points, normals)
    means, deviations = gp.predict(points)
    assert drawn.y[-2:].mean(axis=1) == pytest.approx(means[:, 0], abs=0.05)
    assert drawn.y[-2:].std(axis=1) == pytest.approx(deviations, rel=0.1)
    assert drawn.predict(points)[1].max() < 0.05 * deviations.min()


def test_fantasies_at_the_mean_leave_the_mean():
    gp, points = process(), np.array([[0.9, 0.9, 0.1, 0.1]])
    believed = gp.fantasise(points, np.zeros((1, 1)))
    new = np.random.default_rng(2).random((5, 4))
    assert believed.predict(new)[0] == pytest.approx(gp.predict(new)[0], abs=1e-6)


def test_cholesky_of_a_singular_covariance():
    factor = cholesky(np.ones((3, 3)))
    assert factor @ factor.T == pytest.approx(np.ones((3, 3)), abs=1e-6)


def test_log_h_where_it_can_be_computed_plainly_and_where_not():
    z = np.array([-3.0, -1.0, 0.0, 2.0])
    plain = np.exp(-z * z / 2) / np.sqrt(2 * np.pi) + z * ndtr(z)
    values, slopes = log_h(z)
    assert values == pytest.approx(np.log(plain))
    assert slopes == pytest.approx(ndtr(z) / plain)
    far, _ = log_h(np.array([-99.9, -100.1, -1e6]))
    assert np.isfinite(far).all()
    assert far[0] - far[1] == pytest.approx(0.2 * (100 + 2 / 100), rel=1e-3)  # no jump at the seam


def test_gradient_of_log_expected_improvement():
    gp = process().fantasise(np.array([[0.9, 0.9, 0.1, 0.1]]), np.array([[-1.0, 0.3, 2.0]]))
    value, point = LogExpectedImprovement(gp), np.array([0.3, 0.6, 0.2, 0.8])
    found, gradient = value.with_gradient(point)
    assert found == pytest.approx(value(point[None])[0])
    assert gradient == pytest.approx(approx_fprime(point, lambda p: value(p[None])[0], 1e-7), rel=1e-4)
