from __future__ import annotations

from autodl.nas.nasbench201 import NASBench201
from autodl.nas.nasbench201_cell import as_config, network_key
from autodl.nas.nasbench201_made import made_table


def test_same_seed_same_table_and_sizes():
    assert made_table(3, 30).equals(made_table(3, 30))
    assert not made_table(4, 30).equals(made_table(3, 30))


def test_cut_off_cells_stay_at_chance_and_the_ranges_are_those_of_the_data_sets():
    bench = NASBench201(made_table(0, 3000))
    assert len(bench) == 3000
    dead = [arch for arch in bench.archs() if not network_key(arch)]
    assert max(bench.query(as_config(arch), "cifar100", split="test") for arch in dead) < 20.0
    assert 85.0 < bench.best("cifar10", split="test")[1] < 95.0
