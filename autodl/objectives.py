"""What a run is after: one metric or several, and what a config must keep to be of use."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from autodl.errors import OptionError

_SMALLER_IS_BETTER = ("loss", "error", "mse", "mae", "rmse", "perplexity", "latency", "time")
_CONSTRAINT = re.compile(r"\s*(<=|>=)\s*(\S+)\s*")

ConstraintsLike = Mapping[str, object] | Sequence[object] | None
"""``{"latency_ms": "<= 20"}``, ``("latency_ms", "<=", 20)``, or a list of such triples."""


@dataclass(frozen=True, slots=True)
class Objective:
    """What is measured and which way is better.

    Attributes:
        metric: name of the metric that trials report.
        mode: ``"min"`` or ``"max"``.
    """

    metric: str
    mode: str

    def __post_init__(self) -> None:
        if not isinstance(self.metric, str) or not self.metric:
            raise OptionError(f"metric must be the name of what trials report, got {self.metric!r}")
        if self.mode not in ("min", "max"):
            raise OptionError(f"mode must be 'min' or 'max', got {self.mode!r}")

    def score(self, value: float) -> float:
        """The value where larger is better."""
        return value if self.mode == "max" else -value


@dataclass(frozen=True, slots=True)
class Constraint:
    """A bound that a metric must keep for a config to be feasible.

    Attributes:
        metric: name of a metric that trials report.
        sign: ``"<="`` or ``">="``.
        bound: a finite number.
    """

    metric: str
    sign: str
    bound: float

    def __post_init__(self) -> None:
        if not isinstance(self.metric, str) or not self.metric:
            raise OptionError(f"a constraint needs the name of a metric, got {self.metric!r}")
        if self.sign not in ("<=", ">="):
            raise OptionError(f"constraint on {self.metric!r}: '<=' or '>=' is needed, got {self.sign!r}")
        if isinstance(self.bound, bool) or not isinstance(self.bound, int | float):
            raise OptionError(
                f"constraint on {self.metric!r}: the bound must be a number, got {self.bound!r}"
            )
        if not math.isfinite(self.bound):
            raise OptionError(f"constraint on {self.metric!r}: the bound must be finite, got {self.bound!r}")

    def violation(self, value: float | None) -> float:
        """How far beyond the bound, relative to it; 0: kept; infinite: not measured, or NaN."""
        if value is None or math.isnan(value):
            return math.inf
        beyond = value - self.bound if self.sign == "<=" else self.bound - value
        return max(0.0, beyond) / (abs(self.bound) or 1.0)

    def __str__(self) -> str:
        return f"{self.metric} {self.sign} {self.bound:g}"


@dataclass(frozen=True, slots=True)
class Goals:
    """Objectives and constraints of a run.

    Attributes:
        objectives: at least one; the first decides where one number is asked for.
        constraints: all must be kept.
    """

    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()

    def __post_init__(self) -> None:
        metrics = [objective.metric for objective in self.objectives]
        if not metrics:
            raise OptionError("name at least one metric")
        if len(set(metrics)) < len(metrics):
            raise OptionError(f"a metric is named twice: {', '.join(metrics)}")

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of all metrics that count, those of constraints last."""
        names = [objective.metric for objective in self.objectives]
        return tuple(dict.fromkeys([*names, *(constraint.metric for constraint in self.constraints)]))

    @property
    def is_simple(self) -> bool:
        """One objective and no constraint."""
        return len(self.objectives) == 1 and not self.constraints

    def to_json(self) -> dict[str, list[list[object]]]:
        """As a journal's header holds them; see `from_json`."""
        return {
            "objectives": [[objective.metric, objective.mode] for objective in self.objectives],
            "constraints": [[c.metric, c.sign, c.bound] for c in self.constraints],
        }

    @classmethod
    def from_json(cls, header: Mapping[str, Any]) -> Self:
        """The goals that a journal's header tells of; ``metric`` and ``mode`` do for a single one."""
        objectives = header.get("objectives") or [[header["metric"], header["mode"]]]
        constraints = header.get("constraints") or []
        return cls(tuple(Objective(*o) for o in objectives), tuple(Constraint(*c) for c in constraints))

    def scores(self, metrics: Mapping[str, float]) -> tuple[float, ...] | None:
        """Each objective's value where larger is better; None unless all are there and finite."""
        found = [
            objective.score(metrics[objective.metric])
            for objective in self.objectives
            if objective.metric in metrics
        ]
        return tuple(found) if len(found) == len(self.objectives) and all(map(math.isfinite, found)) else None

    def violation(self, metrics: Mapping[str, float]) -> float:
        """The sum of the constraints' relative violations; 0: feasible."""
        return sum(constraint.violation(metrics.get(constraint.metric)) for constraint in self.constraints)


def squashed(violation: float) -> float:
    """A violation, 0 to infinite, on a scale from 0 to 1 that keeps the order."""
    return 1.0 if math.isinf(violation) else violation / (1.0 + violation)


def infer_mode(metric: str) -> str:
    """What is better, "min" or "max", by the words in the metric's name; see `autodl.tune`."""
    words = str(metric).lower().replace("-", "_").replace("/", "_").split("_")
    return "min" if any(word in _SMALLER_IS_BETTER for word in words) else "max"


def make_goals(
    metric: str | Sequence[str],
    mode: str | Sequence[str | None] | None = None,
    constraints: ConstraintsLike = None,
) -> Goals:
    """The goals a user means.

    Args:
        metric: one name, or several.
        mode: "min" or "max", for all or one for each; None: by each metric's name.
        constraints: see `ConstraintsLike`.

    Raises:
        OptionError: as many modes as metrics are needed; a constraint cannot be read.

    Example:
        >>> goals = make_goals(["accuracy", "latency_ms"], constraints={"latency_ms": "<= 20"})
        >>> [objective.mode for objective in goals.objectives], str(goals.constraints[0])
        (['max', 'min'], 'latency_ms <= 20')
    """
    names = [metric] if isinstance(metric, str) or not isinstance(metric, Iterable) else list(metric)
    modes = [mode] * len(names) if mode is None or isinstance(mode, str) else list(mode)
    if len(modes) != len(names):
        raise OptionError(f"{len(names)} metrics need as many modes, got {len(modes)}: {modes!r}")
    objectives = [
        Objective(name, infer_mode(name) if way is None else way)
        for name, way in zip(names, modes, strict=True)
    ]
    return Goals(tuple(objectives), tuple(_constraints(constraints)))


def _constraints(given: ConstraintsLike) -> list[Constraint]:
    if given is None:
        return []
    if isinstance(given, Mapping):
        return [_from_text(metric, text) for metric, text in given.items()]
    triples = [given] if len(given) == 3 and isinstance(given[0], str) else list(given)
    return [_from_triple(triple) for triple in triples]


def _from_triple(triple: object) -> Constraint:
    if isinstance(triple, Constraint):
        return triple
    if not isinstance(triple, list | tuple) or len(triple) != 3:
        raise OptionError(f"a constraint is a triple like ('latency_ms', '<=', 20), got {triple!r}")
    return Constraint(*triple)


def _from_text(metric: str, text: object) -> Constraint:
    found = _CONSTRAINT.fullmatch(text) if isinstance(text, str) else None
    try:
        bound = float(found[2]) if found else math.nan
    except ValueError:
        bound = math.nan
    if found is None or math.isnan(bound):
        raise OptionError(f"constraint on {metric!r}: write it like '<= 20' or '>= 0.9', got {text!r}")
    return Constraint(metric, found[1], bound)
