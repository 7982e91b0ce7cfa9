"""What a simulated trial measures, and how long it would have taken: functions, curves, tables."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from autodl.checks import check_whole
from autodl.errors import OptionError, TrialError
from autodl.trial import Config, Value

Measured = tuple[dict[str, float], float]
"""Metrics of an epoch, and the simulated seconds that it took."""

MAX_CURVES = 50_000
"""Curves kept in memory by `CurveObjective`; with more trials under way some are computed again."""


@runtime_checkable
class SimulatedObjective(Protocol):
    """Stands in for a training function on a simulated cluster.

    Attributes:
        max_resource: epochs of a full trial; a trial that was not stopped ends there.
    """

    max_resource: int

    def evaluate(self, config: Config, resource: int) -> Measured:
        """What the epoch `resource` (from 1) of a config reports, and its seconds.

        Raises:
            Exception: the simulated trial fails, as a real one would.
        """
        ...


class FunctionObjective:
    """A function of (config, epoch).

    Args:
        function: ``function(config, resource)`` returns a number, or a dict of metrics.
        max_resource: epochs of a full trial.
        seconds: simulated seconds of an epoch: a number, or ``seconds(config, resource)``.
        metric: what a bare number is called.

    Raises:
        OptionError: `max_resource` is no whole number >= 1.

    Example:
        >>> square = FunctionObjective(lambda config, resource: config["x"] ** 2, seconds=60)
        >>> square.evaluate({"x": 3.0}, 1)
        ({'loss': 9.0}, 60.0)
    """

    def __init__(
        self,
        function: Callable[[Config, int], float | Mapping[str, float]],
        *,
        max_resource: int = 1,
        seconds: float | Callable[[Config, int], float] = 1.0,
        metric: str = "loss",
    ) -> None:
        self.max_resource = check_epochs(max_resource)
        self._function = function
        self._seconds = seconds
        self._metric = metric

    def evaluate(self, config: Config, resource: int) -> Measured:
        """See `SimulatedObjective.evaluate`."""
        value = self._function(config, resource)
        seconds = self._seconds(config, resource) if callable(self._seconds) else self._seconds
        metrics = dict(value) if isinstance(value, Mapping) else {self._metric: float(value)}
        return metrics, float(seconds)


class CurveObjective:
    """A learning curve for each config, computed once a trial and read epoch by epoch.

    Args:
        curve: ``curve(config)`` returns (values, seconds): the metric after each epoch, shape (R,), and
            simulated seconds of an epoch, a number or shape (R,).
        max_resource: R.
        metric: the metric's name.

    Raises:
        OptionError: `max_resource` is no whole number >= 1.

    Example:
        >>> halving = CurveObjective(lambda config: ([0.8, 0.4, 0.2], 30.0), max_resource=3)
        >>> halving.evaluate({}, 2)
        ({'loss': 0.4}, 30.0)
    """

    def __init__(
        self,
        curve: Callable[[Config], tuple[Sequence[float], float | Sequence[float]]],
        *,
        max_resource: int,
        metric: str = "loss",
    ) -> None:
        self.max_resource = check_epochs(max_resource)
        self._curve = curve
        self._metric = metric
        self._kept: dict[tuple[Any, ...], tuple[list[float], list[float]]] = {}

    def evaluate(self, config: Config, resource: int) -> Measured:
        """See `SimulatedObjective.evaluate`."""
        key = tuple(config.items())
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = self._computed(config)
            if len(self._kept) > MAX_CURVES:
                del self._kept[next(iter(self._kept))]
        values, seconds = kept
        return {self._metric: values[resource - 1]}, seconds[resource - 1]

    def _computed(self, config: Config) -> tuple[list[float], list[float]]:
        values, seconds = self._curve(config)
        made = [float(value) for value in values]
        costs = [float(seconds)] * len(made) if _is_number(seconds) else [float(s) for s in seconds]  # type: ignore[arg-type, union-attr]
        if len(made) < self.max_resource or len(costs) < self.max_resource:
            raise TrialError(
                f"the curve of {config} has {len(made)} values and {len(costs)} durations; "
                f"max_resource={self.max_resource} needs as many"
            )
        return made, costs


class TableObjective:
    """Results that were measured before, one row a config, or a config and an epoch.

    Args:
        table: a pandas DataFrame, or a mapping from column to values.
        labels: the columns that make up a config. A cell of None or NaN means that the label is
            absent there (an inactive parameter).
        metrics: the columns that a trial reports.
        resource: the column with the epoch, 1 to R; None: a row is a whole trial of one epoch.
        seconds: the column with an epoch's simulated seconds, or a number for all.

    Raises:
        OptionError: a column is missing, a config stands in the table twice, or it has no rows.

    Example:
        >>> table = {"lr": [0.1, 0.01], "error": [0.3, 0.2], "cost": [5.0, 7.0]}
        >>> known = TableObjective(table, labels=["lr"], metrics=["error"], seconds="cost")
        >>> known.evaluate({"lr": 0.01}, 1)
        ({'error': 0.2}, 7.0)
        >>> known.values("lr")
        (0.01, 0.1)
    """

    def __init__(
        self,
        table: Any,
        *,
        labels: Sequence[str],
        metrics: Sequence[str],
        resource: str | None = None,
        seconds: str | float = 1.0,
    ) -> None:
        self.labels = tuple(labels)
        self.metrics = tuple(metrics)
        columns = self._columns(table, resource, seconds)
        keys = list(zip(*(columns[label] for label in self.labels), strict=True))
        epochs = [1] * len(keys) if resource is None else [operator.index(e) for e in columns[resource]]
        costs = columns[seconds] if isinstance(seconds, str) else [float(seconds)] * len(keys)
        values = zip(*(columns[name] for name in self.metrics), strict=True)
        self._rows = dict(zip(zip(keys, epochs, strict=True), zip(values, costs, strict=True), strict=True))
        if len(self._rows) < len(keys):
            twice = len(keys) - len(self._rows)
            raise OptionError(f"{twice} of {len(keys)} rows repeat a config: name all its columns in labels")
        if not keys:
            raise OptionError("the table has no rows")
        self.max_resource = check_epochs(max(epochs))

    def _columns(self, table: Any, resource: str | None, seconds: str | float) -> dict[str, list[Any]]:
        wanted = [*self.labels, *self.metrics]
        wanted += [name for name in (resource, seconds) if isinstance(name, str)]
        missing = [name for name in wanted if name not in table]
        if missing:
            raise OptionError(f"the table lacks the columns {missing}; it has {list(table)}")
        return {name: [_plain(value) for value in table[name]] for name in wanted}

    def evaluate(self, config: Config, resource: int) -> Measured:
        """See `SimulatedObjective.evaluate`.

        Raises:
            TrialError: the table has no such row.
        """
        key = tuple(config.get(label) for label in self.labels)
        row = self._rows.get((key, resource))
        if row is None:
            raise TrialError(f"the table has no row for {config} at epoch {resource}")
        values, seconds = row
        return {n: float(v) for n, v in zip(self.metrics, values, strict=True) if v is not None}, seconds

    def values(self, label: str) -> tuple[Value, ...]:
        """The different values of a config's label, in order: what ``Categorical(*values)`` wants."""
        index = self.labels.index(label)
        found = {key[index] for key, _ in self._rows} - {None}
        return tuple(sorted(found, key=lambda value: (isinstance(value, str), value)))


def check_epochs(max_resource: int) -> int:
    """`max_resource`, if it is a whole number >= 1.

    Raises:
        OptionError: it is not.
    """
    check_whole("max_resource", max_resource)
    return max_resource


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) or getattr(value, "ndim", None) == 0


def _plain(value: Any) -> Any:
    """A Python scalar; None for NaN, which is what pandas makes of a missing value."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and math.isnan(value) else value
