"""What training a cell of NAS-Bench-201 would take, and the simulated trials made of it.

The published table says how accurate a cell became, and how long a forward pass took, but our
copies hold no training times. So they are modelled:

    seconds = epochs * ceil(images / 256) * 3 * (seconds of a batch's forward pass)

three forward passes for one training step, because the backward pass makes about twice the
products of the forward one. Where the table has no recorded batch, or on demand, that pass is
256 * multiply-adds / 2e12 s plus 4 ms. Absolute times are thus a model, for comparing methods by;
ratios between cells are as good as the recorded latencies.
"""

from __future__ import annotations

import math

import numpy as np

from autodl.errors import DataError, OptionError, UnknownNameError
from autodl.nas.nasbench201 import FIDELITIES, NASBench201
from autodl.nas.nasbench201_cell import Arch, number_of
from autodl.rng import derive_seed
from autodl.trial import Config

__all__ = ["CellTraining", "TrainingCost"]

IMAGES = {"cifar10": 25_000, "cifar100": 50_000, "imagenet16_120": 151_700}
"""Trained on; of cifar10 the half whose other half is validated on."""
BATCH = 256
_PASSES = 3.0
_MACS_PER_S = 2e12
_OVERHEAD_S = 0.004


class TrainingCost:
    """Simulated seconds of training a cell; see this module's docstring for the model.

    Args:
        bench: the table.
        dataset: one of its data sets.
        source: "latency" (recorded batches), "flops", or "auto": recorded where there is a record.

    Raises:
        UnknownNameError: no such data set or source.
    """

    def __init__(self, bench: NASBench201, dataset: str = "cifar10", source: str = "auto") -> None:
        if dataset not in bench.datasets:
            raise UnknownNameError("dataset", dataset, bench.datasets)
        if source not in ("auto", "latency", "flops"):
            raise UnknownNameError("source", source, ("auto", "latency", "flops"))
        self.bench, self.dataset, self.source = bench, dataset, source

    def __call__(self, arch: Arch, epochs: int) -> float:
        """Seconds of `epochs` epochs.

        Raises:
            DataError: the latency is asked for and not in the table.
        """
        steps = math.ceil(IMAGES[self.dataset] / BATCH)
        return epochs * steps * _PASSES * self._forward_s(arch)

    def _forward_s(self, arch: Arch) -> float:
        recorded = None if self.source == "flops" else self.bench.batch_s(arch, self.dataset)
        if recorded is not None:
            return recorded
        if self.source == "latency":
            raise DataError(f'no recorded latency of {arch!r} on {self.dataset}; use source="auto"')
        return _OVERHEAD_S + BATCH * self.bench.flops(arch, self.dataset) / _MACS_PER_S


class CellTraining:
    """A `SimulatedObjective`: trains a cell at rising fidelities and reports its validation accuracy.

    Resource 1 is the first fidelity, resource 2 the second, and so on. Each is a training of its
    own, from nothing: the 12 epochs are a whole cosine schedule, so a promotion from 12 to 200
    pays all 200 epochs, after the 12 that were paid already. A fidelity that stands there again is
    another run of the same schedule with new weights; what is reported is then the mean of its runs.

    What a single training reports is noisy, as in a real search: which of the table's 1 to 3 runs of
    an architecture comes first depends on `seed`. After the last known run the trial ends.

    Args:
        bench: the table.
        dataset: one of its data sets.
        fidelities: epochs of the trainings, rising: ``(200,)``, ``(12, 200)`` or ``(12, 200, 200)``.
        seed: of the order of the runs.
        cost: simulated seconds; None: `TrainingCost`.

    Raises:
        OptionError: no fidelity, an unknown one, or more runs than the table has.

    Example:
        >>> from autodl.nas.nasbench201_made import made_table
        >>> bench = NASBench201(made_table(seed=0, size=50))
        >>> training = CellTraining(bench, "cifar10", fidelities=(12, 200))
        >>> training.max_resource
        2
    """

    def __init__(
        self,
        bench: NASBench201,
        dataset: str = "cifar10",
        *,
        fidelities: tuple[int, ...] = (200,),
        seed: int = 0,
        cost: TrainingCost | None = None,
    ) -> None:
        kinds = sorted(set(fidelities))
        if not fidelities or list(fidelities) != sorted(fidelities) or not set(kinds) <= set(FIDELITIES):
            raise OptionError(f"fidelities must rise, and be among {FIDELITIES}, got {fidelities!r}")
        if fidelities.count(12) > 1 or fidelities.count(200) > 3:
            raise OptionError(f"the table has one run of 12 epochs and 3 of 200, got {fidelities!r}")
        self.bench, self.dataset, self.fidelities = bench, dataset, tuple(fidelities)
        self.cost = TrainingCost(bench, dataset) if cost is None else cost
        self.max_resource = len(fidelities)
        self._seed = seed

    def evaluate(self, config: Config, resource: int) -> tuple[dict[str, float], float]:
        """Validation accuracy in percent, and the seconds of this fidelity's training."""
        epochs = self.fidelities[resource - 1]
        if epochs == 12:
            accuracy = self.bench.query(config, self.dataset, epochs=12)
            return {"accuracy": accuracy}, self.cost(config, 12)
        repeats = self.fidelities[:resource].count(epochs)
        runs = self._runs(config)
        known = runs[:repeats]
        values = [self.bench.query(config, self.dataset, run=run) for run in known]
        seconds = self.cost(config, epochs) if repeats <= len(runs) else 0.0
        return {"accuracy": float(np.mean(values))}, seconds

    def _runs(self, config: Config) -> list[int]:
        """The order in which this seed meets the architecture's runs."""
        rng = np.random.default_rng(derive_seed(self._seed, "runs", number_of(config)))
        order: list[int] = rng.permutation(self.bench.num_runs(config, self.dataset)).tolist()
        return order
