from __future__ import annotations

import json

import numpy as np
import pytest

from autodl.errors import OptionError
from autodl.nas.encoded_search import EncodedSearcher
from autodl.nas.nasbench201 import NASBench201
from autodl.nas.nasbench201_cell import as_config, encoding, search_space, to_string
from autodl.nas.nasbench201_made import made_table
from autodl.nas.nasbench201_training import CellTraining
from autodl.schedulers.asha import ASHAScheduler
from autodl.simulation import simulate
from autodl.testing.searchers import SearcherContract
from autodl.trial import Report, TrialState


def hashed(config):
    """Any config of any space as 12 numbers: what a user without an idea might pass."""
    vector = np.zeros(12)
    for label, value in config.items():
        is_number = isinstance(value, int | float)
        column = sum(map(ord, label if is_number else f"{label}{value}")) % 12
        vector[column] += np.tanh(float(value)) if is_number else 1.0
    return vector


class TestContract(SearcherContract):
    def make(self):
        return EncodedSearcher(hashed, num_initial=4, pool=60)


@pytest.fixture(scope="module")
def bench():
    return NASBench201(made_table(seed=0))


def searched(searcher, bench, num_trials=60, seed=0, scheduler="fifo", fidelities=(200,)):
    training = CellTraining(bench, "cifar100", fidelities=fidelities, seed=seed)
    return simulate(
        training,
        search_space(),
        metric="accuracy",
        searcher=searcher,
        scheduler=scheduler,
        num_workers=2,
        num_trials=num_trials,
        seed=seed,
    )


def test_the_encoding_finds_better_cells_than_evolution(bench):
    found = {"evolution": [], "encoded": []}
    for seed in range(2):
        for name, trials in found.items():
            searcher = EncodedSearcher(encoding(), pool=150) if name == "encoded" else name
            best = searched(searcher, bench, seed=seed).best_config
            trials.append(bench.query(best, "cifar100", split="test"))
    assert np.mean(found["encoded"]) > np.mean(found["evolution"])


def test_no_network_is_trained_twice_under_two_names(bench):
    result = searched(EncodedSearcher(encoding(), pool=60), bench, num_trials=40)
    vectors = {encoding()(trial.config).tobytes() for trial in result.trials}
    assert len(vectors) == 40


def test_the_recommended_cell_was_trained_in_full_and_is_among_the_best(bench):
    searcher = EncodedSearcher(encoding(), pool=100)
    assert searcher.num_initial == 10
    result = searched(
        searcher,
        bench,
        60,
        scheduler=ASHAScheduler(2, reduction_factor=4, type="promotion"),
        fidelities=(12, 200),
    )
    full = {json.dumps(t.config): t.reports[-1].value for t in result.trials if t.resource == 2}
    best = searcher.recommend()
    assert full[json.dumps(best)] > np.median(list(full.values()))


def told(searcher, results):
    """Feed scores by hand: (config number, resource, score)."""
    searcher.bind(search_space(), seed=0)
    for number, resource, score in results:
        config, state = as_config(number), TrialState.RUNNING
        searcher.observe(Report(number, config, state, resource, score, score))


def test_nothing_is_recommended_before_there_is_a_model():
    searcher = EncodedSearcher(encoding())
    told(searcher, [(4000, 1, 0.5)])
    assert searcher.recommend() is None


def test_a_repeat_replaces_the_lucky_run():
    searcher = EncodedSearcher(encoding(), repeats_from=1)
    steady = [(number, 1, 0.5) for number in (100, 2000, 5000, 9000, 12000)]
    told(searcher, [*steady, (7777, 1, 0.9), (7777, 2, 0.3), (3333, 1, 0.7)])
    assert to_string(searcher.recommend()) == to_string(3333)


@pytest.mark.parametrize("wrong", [{"num_initial": 0}, {"pool": 1}, {"repeats_from": 0}])
def test_options_are_checked(wrong):
    with pytest.raises(OptionError):
        EncodedSearcher(encoding(), **wrong)
    with pytest.raises(OptionError, match="function"):
        EncodedSearcher("paths")
