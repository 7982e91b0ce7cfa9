from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from autodl.errors import ConfigError, DataError, DataNotFoundError, OptionError, UnknownNameError
from autodl.nas.nasbench201 import PATH_VARIABLE, NASBench201
from autodl.nas.nasbench201_cell import LABELS, as_config, network_key
from autodl.nas.nasbench201_made import made_table

DATA = Path(os.environ.get(PATH_VARIABLE, Path(__file__).parents[2].parent / "shared/data/nasbench201"))
needs_table = pytest.mark.skipif(not (DATA / "nasbench201.parquet").is_file(), reason="the table is absent")


@pytest.fixture(scope="module")
def table():
    return made_table(seed=0, size=60)


@pytest.fixture(scope="module")
def latency(table):
    import pandas as pd

    return pd.DataFrame({"arch": table["arch"][::-1].to_numpy(), "phone_ms": np.arange(60.0)})


class TestQuery:
    def test_finds_the_row_of_a_string_a_config_and_a_number(self, table):
        bench = NASBench201(table)
        row = table.iloc[17]
        assert bench.query(row["arch"], "cifar100", run=0) == row["cifar100_valid_acc_200ep_s0"]
        assert bench.query(as_config(row["arch"]), "cifar100", epochs=12) == row["cifar100_valid_acc_12ep"]
        assert bench.query(row["arch"], "cifar10", split="test") == row["cifar10_test_acc_200ep"]
        assert bench.params(row["arch"]) == row["cifar10_params"]
        assert bench.flops(row["arch"], "imagenet16_120") == row["imagenet16_120_flops"]
        assert bench.batch_s(row["arch"]) == row["cifar10_gpu_latency_s"]

    def test_the_mean_leaves_out_runs_that_were_not_made(self, table):
        bench = NASBench201(table)
        short = table[table["cifar10_valid_acc_200ep_s2"].isna()].iloc[0]
        runs = [short[f"cifar10_valid_acc_200ep_s{i}"] for i in (0, 1)]
        assert bench.num_runs(short["arch"]) == 2
        assert bench.query(short["arch"]) == pytest.approx(np.mean(runs))
        with pytest.raises(OptionError, match="from 0 to 1"):
            bench.query(short["arch"], run=2)

    def test_latency_is_joined_by_architecture_not_by_row(self, table, latency):
        bench = NASBench201(table, latency)
        assert bench.devices == ("phone",)
        assert bench.latency_ms(table["arch"].iloc[0], "phone") == 59.0

    def test_best_is_the_highest_mean(self, table):
        bench = NASBench201(table)
        arch, value = bench.best("cifar10", split="test")
        assert value == table["cifar10_test_acc_200ep"].max()
        assert bench.query(arch, "cifar10", split="test") == value

    def test_what_is_not_there_is_named(self, table, latency):
        bench = NASBench201(table, latency)
        known = table["arch"].iloc[0]
        absent = next(number for number in range(15625) if number not in bench)
        with pytest.raises(ConfigError, match="lacks"):
            bench.query(absent)
        for call in (
            lambda: bench.query(known, "mnist"),
            lambda: bench.query(known, epochs=90),
            lambda: bench.query(known, split="train"),
            lambda: bench.query(known, split="test", run=0),
            lambda: bench.latency_ms(known, "toaster"),
        ):
            with pytest.raises(OptionError):
                call()
        with pytest.raises(UnknownNameError, match="phone"):
            bench.latency_ms(known, "toaster")


class TestLoad:
    def test_reads_a_folder_with_latencies(self, table, latency, tmp_path, monkeypatch):
        table.to_parquet(tmp_path / "nasbench201.parquet")
        latency.to_parquet(tmp_path / "latency_help.parquet")
        monkeypatch.setenv(PATH_VARIABLE, str(tmp_path))
        bench = NASBench201.load()
        assert (len(bench), bench.devices) == (60, ("phone",))
        assert NASBench201.load(tmp_path / "nasbench201.parquet").archs() == list(table["arch"])

    def test_says_how_to_name_the_file(self, tmp_path, monkeypatch):
        monkeypatch.delenv(PATH_VARIABLE, raising=False)
        with pytest.raises(DataNotFoundError, match=PATH_VARIABLE):
            NASBench201.load()
        with pytest.raises(DataNotFoundError, match=r"nasbench201\.parquet"):
            NASBench201.load(tmp_path)

    def test_refuses_tables_that_are_none(self, table):
        with pytest.raises(DataError, match="no column arch"):
            NASBench201(table.drop(columns="arch"))
        with pytest.raises(DataError, match="61 rows for 60"):
            NASBench201(table.iloc[[*range(60), 0]])
        with pytest.raises(DataError, match="valid_acc_200ep_s0"):
            NASBench201(table[["arch"]])

    def test_a_table_of_one_data_set_and_one_run_is_enough(self, table):
        bench = NASBench201(table[["arch", "cifar100_valid_acc_200ep_s0"]])
        assert bench.datasets == ("cifar100",)
        assert bench.num_runs(table["arch"].iloc[3], "cifar100") == 1
        assert bench.batch_s(table["arch"].iloc[3], "cifar100") is None
        with pytest.raises(DataError, match="cifar100_flops"):
            bench.flops(table["arch"].iloc[3], "cifar100")


@needs_table
class TestRealTable:
    def test_holds_what_was_published(self):
        bench = NASBench201.load(DATA)
        assert len(bench) == 15625
        assert len(bench.devices) == 27
        best = [bench.best(name, split="test")[1] for name in bench.datasets]
        assert best == pytest.approx([94.3733, 73.5133, 47.3111], abs=1e-3)
        full = dict.fromkeys(LABELS, "nor_conv_3x3")
        assert (bench.params(full), bench.flops(full)) == (1_531_546, 220_119_680)

    def test_cells_that_the_benchmark_calls_the_same_are_the_same_network_here(self):
        import pandas as pd

        table = pd.read_parquet(DATA / "nasbench201.parquet", columns=["arch", "unique_str"])
        ours = [network_key(arch) for arch in table["arch"]]
        theirs = table["unique_str"].tolist()
        assert len(set(theirs)) == 6466
        assert len(set(zip(ours, theirs, strict=True))) == 6466, "ours only joins classes of theirs"
