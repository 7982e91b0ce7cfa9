from __future__ import annotations

import itertools

import numpy as np
import pytest

from autodl.searchers.decisions import Decisions
from autodl.searchers.policies import TablePolicy, pick
from autodl.searchers.policy_gradient import Baseline, PolicyGradient, ppo_weights
from autodl.testing.searchers import SPACES

COUNTS = [2, 3, 2]
EVERY = np.array(list(itertools.product(*map(range, COUNTS))))


def rewards(options):
    return np.sin(1.0 + options @ np.array([5.0, 2.0, 9.0])) + 3.0


def table(seed=0):
    policy = TablePolicy(COUNTS, 0.1)
    exists = np.isfinite(policy.logits)
    policy.logits[exists] = np.random.default_rng(seed).normal(size=exists.sum())
    return policy


def draw(policy, count, rng):
    rows = []
    for _ in range(count):
        choices = policy.begin()
        rows.append([choices.choose(d, rng.random()) for d in range(len(COUNTS))])
    return np.array(rows)


def expected_reward(policy):
    return float(np.exp(policy.log_probs(EVERY)) @ rewards(EVERY))


def enumerated_gradient(policy):
    """By differences of the expected reward over all configs: no formula in common with the policy's."""
    gradient = np.zeros_like(policy.logits)
    for place in zip(*np.nonzero(np.isfinite(policy.logits)), strict=True):
        for sign in (1, -1):
            policy.logits[place] += sign * 1e-5
            gradient[place] += sign * expected_reward(policy) / 2e-5
            policy.logits[place] -= sign * 1e-5
    return gradient


def test_probabilities_of_all_configs_sum_to_one():
    assert np.exp(table().log_probs(EVERY)).sum() == pytest.approx(1.0)


def test_monte_carlo_gradient_is_the_enumerated_one():
    policy = table()
    options = draw(policy, 20_000, np.random.default_rng(1))
    found = policy.gradient(options, rewards(options))
    assert np.abs(found - enumerated_gradient(policy)).max() < 0.04


def test_a_baseline_leaves_the_mean_and_lowers_the_variance():
    policy = table()
    shares = np.exp(policy.log_probs(EVERY))
    single = {
        base: np.array([policy.gradient(row[None], rewards(row[None]) - base) for row in EVERY])
        for base in (0.0, expected_reward(policy))
    }
    means = {base: np.tensordot(shares, each, 1) for base, each in single.items()}
    variances = {
        base: np.tensordot(shares, (each - means[base]) ** 2, 1).sum() for base, each in single.items()
    }
    plain, based = single
    np.testing.assert_allclose(means[plain], means[based], atol=1e-12)
    np.testing.assert_allclose(means[plain], enumerated_gradient(policy), atol=1e-8)
    assert variances[based] < variances[plain] / 5


def test_inactive_decisions_add_nothing():
    policy = table()
    options = np.array([[1, -1, 0]])
    shares = policy.probabilities
    assert policy.log_probs(options)[0] == pytest.approx(np.log(shares[0, 1]) + np.log(shares[2, 0]))
    assert (policy.gradient(options, np.ones(1), 0.5)[1] == 0).all()


def test_entropys_gradient_is_that_of_the_entropy():
    policy = table()
    found = policy.gradient(EVERY[:1], np.zeros(1), 1.0)
    place = (1, 2)

    def entropy():
        shares = policy.probabilities[1]
        return -(shares * np.log(shares)).sum()

    before = entropy()
    policy.logits[place] += 1e-6
    assert (entropy() - before) / 1e-6 == pytest.approx(found[place], abs=1e-4)


def test_ppo_leaves_what_was_pushed_out_of_the_clip():
    old = np.log(np.full(5, 0.5))
    new = np.log(np.array([0.7, 0.3, 0.7, 0.3, 0.5]))
    advantages = np.array([1.0, -1.0, -1.0, 1.0, 2.0])
    weights = ppo_weights(new, old, advantages, 0.2)
    np.testing.assert_allclose(weights, [0.0, 0.0, -1.4, 0.6, 2.0])
    policy = table()
    assert (policy.gradient(EVERY[:1], weights[:1]) == 0).all()


def test_ppos_weights_are_the_derivative_of_its_objective():
    def objective(log_prob, old, advantage):
        ratio = np.exp(log_prob - old)
        return min(ratio * advantage, np.clip(ratio, 0.8, 1.2) * advantage)

    rng = np.random.default_rng(0)
    for new, old, advantage in rng.normal(0, 0.4, (50, 3)):
        slope = (objective(new + 1e-7, old, advantage) - objective(new - 1e-7, old, advantage)) / 2e-7
        [weight] = ppo_weights(np.array([new]), np.array([old]), np.array([advantage]), 0.2)
        assert weight == pytest.approx(slope, abs=1e-6)


def test_baseline_is_used_before_it_learns():
    baseline = Baseline(0.9)
    baseline.update([1.0, 3.0])
    assert baseline.mean == 2.0
    first = baseline.advantages([4.0, 2.0])
    assert first[1] == 0.0
    assert baseline.mean == 2.0
    baseline.update([4.0, 2.0])
    assert baseline.mean == pytest.approx(0.9 * 2.0 + 0.1 * 3.0)


def test_first_batch_compares_each_with_the_others():
    np.testing.assert_allclose(Baseline(0.9).advantages([0.0, 3.0]), [-1.0, 1.0])


@pytest.mark.parametrize(("algorithm", "rate", "limit"), [("reinforce", 0.15, 63), ("ppo", 0.05, 50)])
def test_planted_table_is_learned_within_the_documented_steps(algorithm, rate, limit):
    for seed in range(8):
        policy = TablePolicy([4] * 8, rate)
        learner = PolicyGradient(policy, algorithm)
        rng = np.random.default_rng(seed)
        best = rng.integers(4, size=8)
        for _ in range(limit):
            rows = []
            for _ in range(8):
                choices = policy.begin()
                rows.append([choices.choose(d, rng.random()) for d in range(8)])
            options = np.array(rows)
            learner.learn(options, policy.log_probs(options), (options == best).mean(axis=1).tolist())
        assert policy.probabilities[np.arange(8), best].min() > 0.9


class TestLSTM:
    def make(self, rate=0.01):
        from autodl.searchers.lstm_policy import LSTMPolicy

        return LSTMPolicy(COUNTS, rate, hidden=8, seed=0)

    def test_probabilities_of_all_configs_sum_to_one(self):
        assert np.exp(self.make().log_probs(EVERY)).sum() == pytest.approx(1.0)

    def test_draws_are_as_likely_as_it_says(self):
        policy = self.make(0.1)
        for _ in range(5):
            policy.ascend(EVERY, rewards(EVERY), 0.0)
        options = draw(policy, 3000, np.random.default_rng(0))
        found = np.array([(options == row).all(axis=1).mean() for row in EVERY])
        assert np.abs(found - np.exp(policy.log_probs(EVERY))).max() < 0.03

    def test_an_inactive_decision_is_as_if_it_were_not_there(self):
        import torch

        policy = self.make()
        policy.ascend(EVERY, rewards(EVERY), 0.0)
        logits, state = policy.next_logits(0, torch.tensor([0]), None)
        later, _ = policy.next_logits(2, torch.tensor([policy.token(0, 1)]), state)
        by_hand = torch.log_softmax(logits[0], 0)[1] + torch.log_softmax(later[0], 0)[0]
        assert policy.log_probs(np.array([[1, -1, 0]]))[0] == pytest.approx(by_hand.item())

    def test_a_step_goes_up(self):
        policy = self.make()
        weights = rewards(EVERY) - rewards(EVERY).mean()
        before = float(weights @ policy.log_probs(EVERY))
        policy.ascend(EVERY, weights, 0.0)
        assert float(weights @ policy.log_probs(EVERY)) > before


def test_pick():
    assert [pick(np.array([0.2, 0.0, 0.8, 0.0]), p) for p in (0.0, 0.19, 0.21, 0.9999999)] == [0, 0, 2, 2]


def test_decisions_of_a_conditional_space():
    decisions = Decisions(SPACES["conditional"], bins=4)
    rng = np.random.default_rng(0)
    for _ in range(100):
        config = SPACES["conditional"].sample(rng)
        options = decisions.encode(config)
        rebuilt, again = decisions.decode(lambda number, options=options: options[number], rng)
        assert again == options
        assert rebuilt.keys() == config.keys()
        assert decisions.encode(rebuilt) == options
