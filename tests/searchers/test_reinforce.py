from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from autodl.errors import OptionError, UnknownNameError
from autodl.searchers.reinforce import ReinforceSearcher
from autodl.spaces import Categorical, Real, SearchSpace
from autodl.testing.searchers import SPACES, SearcherContract, search
from autodl.trial import Report, TrialState


class TestTable(SearcherContract):
    def make(self):
        return ReinforceSearcher(batch_size=4)


class TestTablePPO(SearcherContract):
    def make(self):
        return ReinforceSearcher(algorithm="ppo", batch_size=3)


class TestLSTM(SearcherContract):
    num_trials = 9

    def make(self):
        return ReinforceSearcher("lstm", batch_size=4)


PLANTED = SearchSpace({f"op{i}": Categorical("a", "b", "c", "d") for i in range(8)})


def matches(config):
    return sum(value == "abcd"[i % 4] for i, value in enumerate(config.values())) / 8


@pytest.mark.parametrize("algorithm", ["reinforce", "ppo"])
def test_finds_the_planted_network(algorithm):
    for seed in range(2):
        searcher = ReinforceSearcher(algorithm=algorithm)
        assert search(searcher, PLANTED, matches, num_trials=350, num_workers=4, seed=seed).best == 1.0


def test_rewards_of_any_scale_teach_the_same():
    plain, scaled = (
        search(ReinforceSearcher(), PLANTED, lambda c, k=k: k * matches(c) - k, num_trials=100, seed=1)
        for k in (1.0, 1024.0)
    )
    assert plain.configs == scaled.configs


def test_a_known_config_teaches_again_without_a_trial():
    space = SearchSpace({"op": Categorical(*"abcdefgh")})
    searcher = ReinforceSearcher(batch_size=4)
    searched = search(searcher, space, lambda c: float(c["op"] == "c"), num_trials=20)
    assert searched.is_used_up
    assert len(searched.configs) == 8  # each tried once
    probabilities = searcher._policy.probabilities[0]
    assert probabilities.argmax() == 2


def test_failed_trials_count_as_the_worst():
    space = SearchSpace({"op": Categorical(*"ab"), **{f"x{i}": Categorical(*range(9)) for i in range(5)}})
    searcher = ReinforceSearcher(batch_size=4)
    search(searcher, space, lambda c: None if c["op"] == "b" else 1.0 + 0.1 * c["x0"], num_trials=200)
    assert searcher._policy.probabilities[0, 0] > 0.9


def test_lstm_learns_that_a_choice_depends_on_an_earlier_one():
    space = SearchSpace({"a": Categorical(*range(3)), "b": Categorical(*range(3)), "c": Real(0, 1)})
    searcher = ReinforceSearcher("lstm")
    search(searcher, space, lambda c: float(c["a"] == c["b"]), num_trials=250, seed=2)
    drawn = [searcher._draw(np.random.default_rng(i))[0] for i in range(60)]
    assert np.mean([c["a"] == c["b"] for c in drawn]) > 0.9


def test_foreign_trials_move_the_baseline_only():
    searcher = ReinforceSearcher()
    searcher.bind(PLANTED, seed=0)
    before = searcher._policy.probabilities.copy()
    for i in range(-20, 0):
        config = PLANTED.sample(np.random.default_rng(i + 20))
        searcher.observe(Report(i, config, TrialState.COMPLETED, 1, 0.5, 0.5))
    assert (searcher._policy.probabilities == before).all()
    assert searcher._learner.baseline.mean == 0.5


def test_torch_is_loaded_by_the_lstm_only():
    code = (
        "import sys; from autodl.searchers.reinforce import ReinforceSearcher as R; "
        "from autodl.testing.searchers import SPACES; "
        "r = R(); r.bind(SPACES['numbers'], seed=0); r.suggest(0); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_users_torch_generator_and_threads_are_left_alone():
    import torch

    torch.manual_seed(3)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    search(ReinforceSearcher("lstm", batch_size=2), SPACES["conditional"], lambda c: 1.0, num_trials=5)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("options", [{"policy": "tree"}, {"algorithm": "dqn"}])
def test_unknown_names(options):
    with pytest.raises(UnknownNameError):
        ReinforceSearcher(**options)


@pytest.mark.parametrize(
    "options", [{"batch_size": 1}, {"bins": 1}, {"learning_rate": 0.0}, {"baseline_decay": 1.0}]
)
def test_wrong_numbers(options):
    with pytest.raises(OptionError):
        ReinforceSearcher(**options)
