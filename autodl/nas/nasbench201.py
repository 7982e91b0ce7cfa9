"""NAS-Bench-201: cells of six edges with five operations, all 15,625 of them trained beforehand.

Source: X. Dong, Y. Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture
Search" (ICLR 2020), and "NATS-Bench" (TPAMI 2021) by the same authors with L. Liu and K. Musial.
A cell is written by the benchmark as ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``: the edges into node 1,
2 and 3; here an architecture is a flat config, one label an edge.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autodl.checks import is_whole
from autodl.errors import ConfigError, DataError, DataNotFoundError, OptionError, UnknownNameError
from autodl.nas.nasbench201_cell import Arch, number_of, to_string

__all__ = ["DATASETS", "FIDELITIES", "PATH_VARIABLE", "SPLITS", "NASBench201"]

DATASETS = ("cifar10", "cifar100", "imagenet16_120")
FIDELITIES = (12, 200)
SPLITS = ("valid", "test")
PATH_VARIABLE = "AUTODL_NASBENCH201"
RUNS = 3

_Floats = NDArray[np.float64]


class NASBench201:
    """Looks trained cells up in a table: accuracy, size, latency.

    Args:
        table: a pandas DataFrame with a row an architecture: `arch`, the benchmark's string, and for
            each data set ``{dataset}_valid_acc_12ep``, ``_test_acc_12ep``,
            ``_valid_acc_200ep_s0`` (to ``_s2``; NaN where a run was not made), ``_test_acc_200ep``
            (mean of the runs), ``_params``, ``_flops`` and, if known, ``_gpu_latency_s``. Data
            sets without columns are left out.
        latency: a DataFrame with `arch` and a column ``{device}_ms`` for each device; None: no devices.

    Attributes:
        datasets: data sets that the table holds.
        devices: whose latency is known.

    Raises:
        DataError: the table holds no data set, an architecture twice, or one that is malformed.

    Example:
        >>> from autodl.nas.nasbench201_made import made_table
        >>> bench = NASBench201(made_table(seed=0, size=100))
        >>> len(bench), bench.datasets
        (100, ('cifar10', 'cifar100', 'imagenet16_120'))
    """

    def __init__(self, table: Any, latency: Any = None) -> None:
        self._row_of = _rows(table, "the table")
        self._columns = {
            str(name): table[name].to_numpy(dtype=np.float64)
            for name in table.columns
            if str(name).startswith(DATASETS)
        }
        self.datasets = tuple(name for name in DATASETS if f"{name}_valid_acc_200ep_s0" in self._columns)
        if not self.datasets:
            raise DataError(
                f"the table has no column <dataset>_valid_acc_200ep_s0 for a dataset of {DATASETS}; "
                f"it has {list(table.columns)[:10]} ..."
            )
        self._latency_row_of = {} if latency is None else _rows(latency, "the latency table")
        self._latency: dict[str, _Floats] = {}
        if latency is not None:
            names = [str(name) for name in latency.columns if str(name).endswith("_ms")]
            self._latency = {n.removesuffix("_ms"): latency[n].to_numpy(dtype=np.float64) for n in names}
        self.devices = tuple(self._latency)

    @classmethod
    def load(cls, path: str | Path | None = None, latency: str | Path | None = None) -> NASBench201:
        """Read the table from parquet.

        Args:
            path: the file, or a folder with ``nasbench201.parquet`` and, if there,
                ``latency_help.parquet``. None: what the environment's ``AUTODL_NASBENCH201`` says.
            latency: the file of latencies; None: the one in the folder.

        Raises:
            DataNotFoundError: no such file; the message says how to name one.
        """
        import pandas as pd  # noqa: PLC0415  # heavy, and only needed to read files

        given = os.environ.get(PATH_VARIABLE) if path is None else path
        if not given:
            raise DataNotFoundError(
                f"no table: pass its path, or set {PATH_VARIABLE} to a folder with nasbench201.parquet"
            )
        place = Path(given)
        file = place / "nasbench201.parquet" if place.is_dir() else place
        if not file.is_file():
            raise DataNotFoundError(f"{file} is not there; pass a path, or set {PATH_VARIABLE}")
        beside = file.parent / "latency_help.parquet"
        devices = Path(latency) if latency is not None else beside if beside.is_file() else None
        if devices is not None and not devices.is_file():
            raise DataNotFoundError(f"{devices} is not there")
        return cls(pd.read_parquet(file), None if devices is None else pd.read_parquet(devices))

    def __len__(self) -> int:
        """How many architectures the table holds."""
        return len(self._row_of)

    def __contains__(self, arch: Arch) -> bool:
        """Whether the table holds the architecture."""
        return number_of(arch) in self._row_of

    def archs(self) -> list[str]:
        """All architectures of the table as strings, in its order."""
        return [to_string(number) for number in self._row_of]

    def query(
        self,
        arch: Arch,
        dataset: str = "cifar10",
        *,
        epochs: int = 200,
        split: str = "valid",
        run: int | None = None,
    ) -> float:
        """Accuracy in percent after a full schedule of that many epochs.

        The 12 epochs are a schedule of their own, not the 12th of the 200.

        Args:
            arch: a config or a string.
            dataset: of `datasets`.
            epochs: 12 or 200.
            split: "valid" or "test".
            run: one of the trainings from 0 on (200 epochs, "valid"; see `num_runs`); None: their mean.

        Raises:
            ConfigError: no such architecture in the table.
            OptionError: no such data set, schedule, split or run.
        """
        row = self._row(arch)
        if epochs not in FIDELITIES:
            raise OptionError(f"epochs must be one of {FIDELITIES}, got {epochs!r}")
        if split not in SPLITS:
            raise UnknownNameError("split", split, SPLITS)
        if split == "test" or epochs == 12:
            if run is not None:
                raise OptionError(f"only validation after 200 epochs is known run by run, got run={run!r}")
            return float(self._column(dataset, f"{split}_acc_{epochs}ep")[row])
        values = self._runs(dataset, row)
        if run is None:
            return float(values.mean())
        if not is_whole(run, 0) or run >= len(values):
            raise OptionError(f"run must be from 0 to {len(values) - 1} for this architecture, got {run!r}")
        return float(values[run])

    def num_runs(self, arch: Arch, dataset: str = "cifar10") -> int:
        """How many times the architecture was trained for 200 epochs: 1 to 3."""
        return len(self._runs(dataset, self._row(arch)))

    def params(self, arch: Arch, dataset: str = "cifar10") -> int:
        """Weights of the whole network, of 15 cells."""
        return int(self._column(dataset, "params")[self._row(arch)])

    def flops(self, arch: Arch, dataset: str = "cifar10") -> int:
        """Multiply-adds of the network for one image."""
        return int(self._column(dataset, "flops")[self._row(arch)])

    def batch_s(self, arch: Arch, dataset: str = "cifar10") -> float | None:
        """Seconds of a batch's forward pass as the benchmark recorded them; None: not known."""
        known = self._columns.get(f"{dataset}_gpu_latency_s")
        value = float("nan") if known is None else float(known[self._row(arch)])
        return value if value > 0.0 else None

    def latency_ms(self, arch: Arch, device: str) -> float:
        """Milliseconds on a device of `devices`.

        Raises:
            UnknownNameError: no such device.
            ConfigError: no such architecture in the table of latencies.
        """
        if device not in self._latency:
            raise UnknownNameError("device", device, self.devices)
        number = number_of(arch)
        if number not in self._latency_row_of:
            raise ConfigError(f"the table of latencies lacks {to_string(number)}")
        return float(self._latency[device][self._latency_row_of[number]])

    def best(self, dataset: str = "cifar10", *, epochs: int = 200, split: str = "valid") -> tuple[str, float]:
        """The best architecture of the table and its (mean) accuracy: what regret is measured from."""
        if epochs not in FIDELITIES or split not in SPLITS:
            raise OptionError(f"needed: epochs of {FIDELITIES}, split of {SPLITS}; got {epochs!r}, {split!r}")
        if split == "test" or epochs == 12:
            values = self._column(dataset, f"{split}_acc_{epochs}ep")
        else:
            values = np.array([self._runs(dataset, row).mean() for row in self._row_of.values()])
        position = int(np.nanargmax(values))
        return to_string(list(self._row_of)[position]), float(values[position])

    # ------------------------------------------------------------------ the arrays

    def _row(self, arch: Arch) -> int:
        number = number_of(arch)
        if number not in self._row_of:
            raise ConfigError(f"the table lacks {to_string(number)}; it has {len(self)} architectures")
        return self._row_of[number]

    def _column(self, dataset: str, name: str) -> _Floats:
        if dataset not in self.datasets:
            raise UnknownNameError("dataset", dataset, self.datasets)
        column = f"{dataset}_{name}"
        if column not in self._columns:
            raise DataError(f"the table has no column {column}")
        found: _Floats = self._columns[column]
        return found

    def _runs(self, dataset: str, row: int) -> _Floats:
        names = [f"valid_acc_200ep_s{i}" for i in range(RUNS)]
        names = [name for name in names if f"{dataset}_{name}" in self._columns or name.endswith("s0")]
        values = np.array([self._column(dataset, name)[row] for name in names])
        known: _Floats = values[~np.isnan(values)]
        return known

    def __repr__(self) -> str:
        return f"NASBench201({len(self)} architectures, {self.datasets}, {len(self.devices)} devices)"


def _rows(table: Any, called: str) -> dict[int, int]:
    if "arch" not in table.columns:
        raise DataError(f"{called} has no column arch; it has {list(table.columns)[:10]}")
    try:
        numbers = [number_of(str(arch)) for arch in table["arch"]]
    except ConfigError as error:
        raise DataError(f"{called}: {error}") from error
    if len(set(numbers)) < len(numbers) or not numbers:
        raise DataError(f"{called} has {len(numbers)} rows for {len(set(numbers))} different architectures")
    return {number: row for row, number in enumerate(numbers)}
