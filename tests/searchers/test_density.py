from __future__ import annotations

import math

import numpy as np
import pytest

from autodl.searchers.bandwidths import by_neighbours, by_spread
from autodl.searchers.density import Mixture
from autodl.searchers.features import Features
from autodl.spaces import Bool, Categorical, Dict, Int, Real, SearchSpace

MIXED = Features(
    SearchSpace(
        {
            "x": Real(0, 1),
            "n": Int(1, 9, log=True),
            "net": Categorical(
                {"mlp": Dict(width=Real(0, 1)), "conv": Dict(drop=Real(0, 1), flip=Bool()), "off": 0}
            ),
        }
    )
)
LINE = Features(SearchSpace({"x": Real(0, 1)}))


def mixture(features, count=7, prior=1.0, width=0.2, seed=0):
    rng = np.random.default_rng(seed)
    rows, active = features.canonical(rng.random((count, features.dim)))
    return Mixture(features, rows, active, np.full(rows.shape, width), rng.random(count), prior)


@pytest.mark.parametrize("prior", [0.0, 1.0])
@pytest.mark.parametrize("width", [0.15, 0.4])
def test_joint_density_integrates_to_one_over_a_conditional_space(prior, width):
    density = mixture(MIXED, prior=prior, width=width)
    rows, active = MIXED.canonical(np.random.default_rng(1).random((100_000, MIXED.dim)))
    values = np.exp(density.log_density(rows, active))
    assert values.mean() == pytest.approx(1, abs=5 * values.std() / math.sqrt(len(values)))
    assert values.std() / math.sqrt(len(values)) < 0.03


@pytest.mark.parametrize("prior", [0.0, 0.5])
def test_each_columns_density_integrates_to_one(prior):
    cells = (np.arange(20_000) + 0.5) / 20_000
    points = MIXED.snapped(np.tile(cells[:, None], (1, MIXED.dim)))
    means = np.exp(mixture(MIXED, prior=prior).log_marginals(points)).mean(axis=0)
    assert means == pytest.approx(np.ones(MIXED.dim), abs=2e-3)


def test_one_kernel_is_a_normal_cut_off_at_the_ends():
    density = Mixture(LINE, np.array([[0.0]]), np.ones((1, 1), bool), np.array([[0.25]]), np.ones(1))
    at = density.log_density(np.array([[0.25]]), np.ones((1, 1), bool))[0]
    half = 0.5 * math.erf(4 / math.sqrt(2))  # the mass between 0 and four deviations
    assert at == pytest.approx(-0.5 - math.log(0.25 * math.sqrt(2 * math.pi) * half))


def test_choice_kernel_and_prior_are_known_fractions():
    """A kernel on one of 4 choices, 0.4 of it spread: 0.7 there, 0.1 elsewhere; half is the prior."""
    features = Features(SearchSpace({"c": Categorical("a", "b", "c", "d")}))
    rows = np.array([[0.125], [0.375]])
    density = Mixture(features, rows[:1], np.ones((1, 1), bool), np.array([[0.4]]), np.ones(1), prior=1.0)
    probabilities = np.exp(density.log_marginals(rows))[:, 0] / 4
    assert probabilities == pytest.approx([(0.7 + 0.25) / 2, (0.1 + 0.25) / 2])


def test_far_tails_stay_finite():
    features = Features(SearchSpace({"x": Real(0, 1), "n": Int(0, 900)}))
    rows = np.array([[0.0, features.encode({"x": 0.0, "n": 0})[1]]])
    density = Mixture(features, rows, np.ones((1, 2), bool), np.full((1, 2), 1e-3), np.ones(1))
    far = features.snapped(np.ones((1, 2)))
    assert np.isfinite(density.log_density(far, np.ones((1, 2), bool))).all()


def test_inactive_columns_change_nothing():
    density = mixture(MIXED)
    rows, active = MIXED.canonical(np.array([[0.3, 0.5, 0.99, 0.1, 0.2, 0.3]]))  # net = off
    other = np.where(active, rows, 0.77)
    assert density.log_density(rows, active) == density.log_density(other, active)


def test_without_anything_the_density_is_flat():
    empty = Mixture(MIXED, np.empty((0, 6)), np.empty((0, 6), bool), np.empty((0, 6)), np.empty(0), prior=1.0)
    rows, active = MIXED.canonical(np.random.default_rng(0).random((5, 6)))
    assert empty.log_density(rows, active) == pytest.approx(np.zeros(5))
    assert empty.log_marginals(rows) == pytest.approx(np.zeros((5, 6)))
    assert empty.sample(3, np.random.default_rng(0)).shape == (3, 6)


@pytest.mark.parametrize("prior", [0.0, 1.0])
def test_samples_follow_the_density(prior):
    density = mixture(MIXED, prior=prior)
    rows, active = MIXED.canonical(density.sample(40_000, np.random.default_rng(3)))
    # Of samples of a density, the mean of 1 / density is the volume: 1.
    inverse = np.exp(-density.log_density(rows, active))
    if prior:  # without, 1 / density has no variance to speak of
        assert inverse.mean() == pytest.approx(1, abs=0.03)
    anywhere, mask = MIXED.canonical(np.random.default_rng(4).random((200_000, MIXED.dim)))
    weights = np.exp(density.log_density(anywhere, mask))
    for column in range(3):  # of all configs
        assert rows[:, column].mean() == pytest.approx(
            (weights * anywhere[:, column]).sum() / weights.sum(), abs=0.02
        )


def test_marginal_samples_follow_the_marginals():
    density = mixture(MIXED)
    samples = MIXED.snapped(density.sample_marginals(40_000, np.random.default_rng(3)))
    cells = MIXED.snapped(np.tile(((np.arange(5000) + 0.5) / 5000)[:, None], (1, MIXED.dim)))
    weights = np.exp(density.log_marginals(cells))
    assert samples.mean(axis=0) == pytest.approx((weights * cells).sum(0) / weights.sum(0), abs=0.01)


def test_widened_samples_spread_further():
    density = mixture(LINE, prior=0.0, width=0.01, count=1)
    rng = np.random.default_rng(0)
    assert density.sample(500, rng, widen=3).std() == pytest.approx(
        3 * density.sample(500, rng).std(), rel=0.2
    )


def test_widths_by_neighbours_are_gaps():
    rows = np.array([[0.1], [0.6], [0.2], [0.3]])
    widths = by_neighbours(LINE, rows, np.ones((4, 1), bool))[:, 0]
    assert widths == pytest.approx([0.1, 0.3, 0.1, 0.3])
    same = by_neighbours(LINE, np.full((4, 1), 0.5), np.ones((4, 1), bool))
    assert same == pytest.approx(np.full((4, 1), 5**-1.5))
    assert by_neighbours(LINE, np.full((99, 1), 0.5), np.ones((99, 1), bool)).max() == pytest.approx(0.01)


def test_choices_are_smoothed_less_the_more_is_known():
    features = Features(SearchSpace({"c": Categorical("a", "b", "c")}))
    for count, share in ((1, 3 / 5), (96, 3 / 100)):
        widths = by_neighbours(features, np.full((count, 1), 1 / 6), np.ones((count, 1), bool))
        assert widths == pytest.approx(np.full((count, 1), share))


def test_widths_by_spread_are_scotts_rule():
    rows = np.linspace(0, 1, 32)[:, None]
    widths = by_spread(LINE, rows, np.ones((32, 1), bool))
    assert widths == pytest.approx(np.full((32, 1), 1.06 * rows.std() * 32**-0.2))
    assert by_spread(LINE, rows * 0, np.ones((32, 1), bool)).max() == 0.03


def test_widths_look_at_active_columns_only():
    rows = np.array([[0.1, 0.5], [0.4, 0.5]])
    features = Features(SearchSpace({"x": Real(0, 1), "y": Real(0, 1)}))
    for rule in (by_neighbours, by_spread):
        none = np.array([[True, False], [True, False]])
        assert (rule(features, rows, none)[:, 1] == 1).all()
