"""An evaluator that looks results up instead of training: searches in milliseconds."""

from __future__ import annotations

from collections.abc import Mapping

from autodl.errors import OptionError, UnknownNameError
from autodl.nas.evaluators import Evaluation
from autodl.nas.nasbench201 import FIDELITIES, NASBench201
from autodl.nas.nasbench201_cell import as_config
from autodl.nas.nasbench201_training import CellTraining, TrainingCost
from autodl.spaces import Value

__all__ = ["Tabular"]


class Tabular:
    """Evaluates cells of NAS-Bench-201 by the table.

    Args:
        bench: the table.
        dataset: one of its data sets.
        epochs: 12 or 200.
        device: its latency is the cost; None: multiply-adds.
        seed: which run of several a single training meets; None: the mean over all runs.

    Raises:
        OptionError: no such data set, schedule or device.

    Example:
        >>> from autodl.nas.nasbench201_made import made_table
        >>> bench = NASBench201(made_table(seed=0, size=50))
        >>> record = Tabular(bench, "cifar10").evaluate(bench.archs()[0])
        >>> 0.0 < record.metric < 1.0 and record.seconds > 0.0
        True
    """

    def __init__(
        self,
        bench: NASBench201,
        dataset: str = "cifar10",
        *,
        epochs: int = 200,
        device: str | None = None,
        seed: int | None = 0,
    ) -> None:
        self.bench, self.dataset, self.epochs, self.device = bench, dataset, epochs, device
        self._cost = TrainingCost(bench, dataset)
        self._trainings = {
            n: CellTraining(bench, dataset, fidelities=(n,), seed=seed or 0) for n in FIDELITIES
        }
        self._is_mean = seed is None
        self._epochs(epochs)
        if device is not None and device not in bench.devices:
            raise UnknownNameError("device", device, bench.devices)

    def evaluate(self, arch: Mapping[str, Value] | str, *, resource: int | None = None) -> Evaluation:
        """Look an architecture up; `metric` is its validation accuracy from 0 to 1.

        Args:
            arch: a config or the benchmark's string.
            resource: 12 or 200 epochs; None: as many as this evaluator was made for.

        Returns:
            accuracy, simulated seconds of training, epochs, and the network's cost: multiply-adds,
            or milliseconds.

        Raises:
            ConfigError: the table lacks it.
            OptionError: no such schedule.
        """
        epochs, config = self._epochs(self.epochs if resource is None else resource), as_config(arch)
        if self._is_mean:
            percent = self.bench.query(config, self.dataset, epochs=epochs)
        else:
            percent = self._trainings[epochs].evaluate(config, 1)[0]["accuracy"]
        if self.device is None:
            cost = float(self.bench.flops(config, self.dataset))
        else:
            cost = self.bench.latency_ms(config, self.device)
        return Evaluation(percent / 100.0, self._cost(config, epochs), epochs, cost)

    def _epochs(self, epochs: int) -> int:
        if epochs not in FIDELITIES:
            raise OptionError(f"the table knows trainings of {FIDELITIES} epochs, got {epochs!r}")
        return epochs
