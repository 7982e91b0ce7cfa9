from __future__ import annotations

import numpy as np
import pytest

from autodl.errors import OptionError
from autodl.searchers.evolution import EvolutionSearcher, mutated
from autodl.spaces import Categorical, Int, Real, SearchSpace
from autodl.testing.searchers import SPACES, SearcherContract, check_config, search
from autodl.trial import Report, TrialState


class TestEvolution(SearcherContract):
    def make(self):
        return EvolutionSearcher(population_size=6, sample_size=3)


def told(searcher, trial_id, config, score, state=TrialState.COMPLETED):
    searcher.observe(Report(trial_id, config, state, 1, score, score))


def differing(a, b):
    return [label for label in a.keys() | b.keys() if a.get(label) != b.get(label)]


def test_a_mutant_differs_in_one_parameter():
    space = SPACES["choices"]
    rng = np.random.default_rng(0)
    changed = set()
    for _ in range(50):
        parent = space.sample(rng)
        child = mutated(space, parent, rng)
        check_config(space, child)
        [label] = differing(parent, child)
        changed.add(label)
    assert changed == set(space.labels)


def test_a_mutated_choice_draws_its_branch_and_keeps_the_rest():
    space = SPACES["conditional"]
    rng = np.random.default_rng(0)
    parent = {"lr": 0.5, "net": "linear"}
    children = [mutated(space, parent, rng) for _ in range(100)]
    for child in children:
        check_config(space, child)
    branched = [child for child in children if child["net"] != "linear"]
    assert {child["net"] for child in branched} == {"mlp", "conv"}
    assert all(child["lr"] == 0.5 for child in branched)
    hidden = [child["net/mlp/hidden"] for child in branched if child["net"] == "mlp"]
    assert len(set(hidden)) > 5


def test_nothing_to_mutate():
    space = SearchSpace({"a": 3, "b": Int(2, 2)})
    assert mutated(space, space.default, np.random.default_rng(0)) is None


def test_an_integer_of_two_values_always_changes():
    space = SearchSpace({"a": Int(1, 2)})
    rng = np.random.default_rng(1)
    assert all(mutated(space, {"a": 1}, rng) == {"a": 2} for _ in range(20))


def test_the_oldest_member_dies_however_good_it_is():
    searcher = EvolutionSearcher(population_size=3, sample_size=3)
    searcher.bind(SearchSpace({"x": Real(0, 1), "y": Real(0, 1)}), seed=0)
    told(searcher, 0, {"x": 0.9, "y": 0.9}, 100.0)
    for trial_id in (1, 2):
        told(searcher, trial_id, {"x": 0.1 * trial_id, "y": 0.1}, 1.0)
    assert len({0.9} & set(searcher.suggest(10).values())) == 1  # a child of the best, one value kept
    told(searcher, 3, {"x": 0.3, "y": 0.1}, 2.0)
    for trial_id in range(11, 20):
        assert 0.9 not in searcher.suggest(trial_id).values()


def test_failed_trials_do_not_join():
    searcher = EvolutionSearcher(population_size=2, sample_size=2)
    searcher.bind(SearchSpace({"x": Real(0, 1), "y": Real(0, 1)}), seed=0)
    told(searcher, 0, {"x": 0.25, "y": 0.25}, 0.0)
    told(searcher, 1, {"x": 0.75, "y": 0.75}, 9.0, TrialState.FAILED)
    told(searcher, 2, {"x": 0.75, "y": 0.75}, float("inf"))
    for trial_id in range(3, 12):
        assert 0.25 in searcher.suggest(trial_id).values()


def test_finds_the_planted_network_sooner_than_chance():
    space = SearchSpace({f"op{i}": Categorical("a", "b", "c", "d") for i in range(8)})

    def matches(config):
        return sum(value == "abcd"[i % 4] for i, value in enumerate(config.values())) / 8

    best = [search(EvolutionSearcher(), space, matches, num_trials=300, seed=s).best for s in range(5)]
    chance = [search(_random(), space, matches, num_trials=300, seed=s).best for s in range(5)]
    assert min(best) == 1.0
    assert max(chance) < 1.0


def test_numbers_are_refined():
    space = SearchSpace({"x": Real(0, 1), "y": Real(1e-4, 1, log=True)})
    reached = [
        search(
            EvolutionSearcher(),
            space,
            lambda c: -((c["x"] - 0.3) ** 2) - (np.log10(c["y"]) + 2) ** 2 / 16,
            num_trials=150,
            num_workers=4,
            seed=seed,
        ).best
        for seed in range(5)
    ]
    assert np.median(reached) > -5e-4


def test_finite_space_ends_with_every_config_tried_once():
    space = SPACES["finite"]
    searched = search(EvolutionSearcher(2, 2), space, lambda c: c["a"], num_trials=20)
    assert searched.is_used_up
    assert sorted(map(str, searched.configs)) == sorted(map(str, space.enumerate()))


@pytest.mark.parametrize("options", [{"population_size": 1}, {"sample_size": 0}, {"sample_size": 21}])
def test_wrong_options(options):
    with pytest.raises(OptionError, match="size"):
        EvolutionSearcher(**options)


def _random():
    from autodl.searchers import RandomSearcher

    return RandomSearcher()
