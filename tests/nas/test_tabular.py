from __future__ import annotations

import numpy as np
import pytest

from autodl.errors import OptionError
from autodl.nas.nasbench201 import NASBench201
from autodl.nas.nasbench201_cell import as_config
from autodl.nas.nasbench201_made import made_table
from autodl.nas.nasbench201_training import TrainingCost
from autodl.nas.tabular import Tabular


@pytest.fixture(scope="module")
def bench():
    import pandas as pd

    table = made_table(seed=2, size=40)
    return NASBench201(table, pd.DataFrame({"arch": table["arch"], "phone_ms": np.arange(40.0)}))


def test_looks_up_accuracy_seconds_and_multiply_adds(bench):
    arch = bench.archs()[5]
    found = Tabular(bench, "cifar100", seed=None).evaluate(as_config(arch))
    assert found.metric == pytest.approx(bench.query(arch, "cifar100") / 100)
    assert (found.cost, found.resource) == (bench.flops(arch, "cifar100"), 200)
    assert found.seconds == TrainingCost(bench, "cifar100")(arch, 200)


def test_a_seed_meets_a_single_run(bench):
    arch = bench.archs()[5]
    runs = [bench.query(arch, run=run) / 100 for run in range(bench.num_runs(arch))]
    assert Tabular(bench, seed=3).evaluate(arch).metric in runs


def test_resource_and_device(bench):
    arch = bench.archs()[9]
    found = Tabular(bench, device="phone").evaluate(arch, resource=12)
    assert (found.cost, found.resource) == (9.0, 12)
    assert found.metric == bench.query(arch, epochs=12) / 100


def test_mistakes_are_told_at_once(bench):
    with pytest.raises(OptionError, match="toaster"):
        Tabular(bench, device="toaster")
    with pytest.raises(OptionError, match="12, 200"):
        Tabular(bench, epochs=90)
    with pytest.raises(OptionError, match="12, 200"):
        Tabular(bench).evaluate(bench.archs()[0], resource=3)
