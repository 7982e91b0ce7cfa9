"""Evaluator, cost and objective in one: what an architecture is worth to a search."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from autodl.errors import OptionError
from autodl.nas.costs import Cost
from autodl.nas.data import NASData
from autodl.nas.evaluators import Evaluator, Predictor, SharedWeights, Trained, arch_key
from autodl.nas.fitting import FitOptions
from autodl.nas.objectives import MetricOnly, Objective
from autodl.nas.result import Record
from autodl.nas.space import Space
from autodl.spaces import Value


@dataclass(frozen=True, slots=True)
class Judgement:
    """What an architecture is worth.

    Attributes:
        metric: larger is better.
        cost: None where nobody asked.
        reward: both in one number, by the objective.
    """

    metric: float
    cost: float | None
    reward: float


class Judge:
    """Judges architectures, each of them once: a controller proposes what it likes again and again.

    Args:
        evaluator: gives the metric, and the cost where ``cost`` is None and it knows one.
        objective: None: the metric alone.
        cost: of an architecture.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        *,
        objective: Objective | None = None,
        cost: Cost | None = None,
    ) -> None:
        self.evaluator, self.cost = evaluator, cost
        self.objective = objective or MetricOnly()
        self._known: dict[str, Judgement] = {}
        if cost is None and isinstance(evaluator, Trained | SharedWeights | Predictor):
            self._check_cost(None)  # these know no cost: say so now, not after a long training

    def __call__(self, arch: Mapping[str, Value], *, resource: int | None = None) -> Judgement:
        """Judge an architecture.

        Args:
            arch: a valid architecture.
            resource: see `Evaluator.evaluate`.

        Raises:
            OptionError: the objective counts a cost that nobody knows.
        """
        key = f"{resource} {arch_key(arch)}"
        if key in self._known:
            return self._known[key]
        found = self.evaluator.evaluate(arch, resource=resource)
        made = self.weigh(found.metric, self.cost_of(arch, found.cost))
        self._known[key] = made
        return made

    def knows(self, arch: Mapping[str, Value]) -> bool:
        """Whether it judged an architecture before."""
        return f"None {arch_key(arch)}" in self._known

    def cost_of(self, arch: Mapping[str, Value], told: float | None = None) -> float | None:
        """The cost model's number; without one, what the evaluator told."""
        return told if self.cost is None else self.cost.cost(arch)

    def weigh(self, metric: float, cost: float | None) -> Judgement:
        """Metric and cost in one number."""
        self._check_cost(cost)
        return Judgement(metric, cost, self.objective.reward(metric, 1.0 if cost is None else cost))

    def _check_cost(self, cost: float | None) -> None:
        if cost is None and not isinstance(self.objective, MetricOnly):
            raise OptionError(
                f"{type(self.objective).__name__} counts a cost: pass cost=MACs(...), Params(...) or another "
                "cost model beside the objective"
            )

    def remember(self, history: Iterable[Record]) -> None:
        """Take over the judgements of a search that is resumed."""
        for record in history:
            if record.arch is not None and record.metric is not None and "phase" not in record.extra:
                made = self.weigh(record.metric, record.cost)
                self._known[f"None {arch_key(record.arch)}"] = made


def as_evaluator(
    space: Space, data: NASData | Evaluator, fit: FitOptions | None = None, seed: int = 0
) -> Evaluator:
    """An evaluator as it is; for images one that trains each architecture from scratch."""
    if isinstance(data, NASData):
        return Trained(space, data, fit, seed=seed)
    if not hasattr(data, "evaluate"):
        raise OptionError(
            f"a search needs images (NASData) or an evaluator (Trained, Tabular, ...), got {data!r}"
        )
    return data
