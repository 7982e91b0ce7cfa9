"""`simulate`: a search on a simulated cluster, in seconds, to choose a method before paying for one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from autodl.executors.simulated import SimulatedExecutor
from autodl.executors.simulated_objectives import FunctionObjective, SimulatedObjective
from autodl.result import TuneResult
from autodl.spaces.base import Space
from autodl.spaces.search_space import SearchSpace
from autodl.trial import Config
from autodl.tuner import tune

_CLUSTER = ("stragglers", "failure_rate", "loss_rate", "start_s", "resume_s")


def simulate(
    objective: SimulatedObjective | Callable[[Config, int], Any],
    space: SearchSpace | Space | Mapping[str, Any],
    *,
    metric: str,
    num_workers: int = 4,
    seed: int = 0,
    **options: Any,
) -> TuneResult:
    """Run `autodl.tune` on a simulated cluster: the same decisions, no training, no waiting.

    Args:
        objective: a `FunctionObjective`, `CurveObjective` or `TableObjective`, any object with
            ``max_resource`` and ``evaluate(config, resource) -> (metrics, seconds)``; or a plain
            ``function(config, resource)``, whose trials have ``max_resource`` epochs (1 if not given)
            of a second each.
        space: what configs belong to.
        metric: which of the reported metrics counts.
        num_workers: simulated workers; thousands are fine.
        seed: of the search, and of the cluster's disturbances.
        **options: `stragglers`, `failure_rate`, `loss_rate`, `start_s` and `resume_s` of
            `SimulatedExecutor`; all others are `autodl.tune`'s. ``time_limit`` is in simulated time.

    Returns:
        As from `autodl.tune`; all its times are simulated seconds.

    Raises:
        OptionError: an argument is not allowed.

    Example:
        >>> from autodl.spaces import Real
        >>> def loss(config, epoch):
        ...     return (config["x"] - 0.3) ** 2 + 1 / epoch
        >>> result = simulate(loss, {"x": Real(0, 1)}, metric="loss", scheduler="asha", max_resource=9,
        ...                   searcher="random", time_limit="1m")
        >>> result.seconds
        60.0
    """
    cluster = {name: options.pop(name) for name in _CLUSTER if name in options}
    if isinstance(objective, SimulatedObjective):
        options.setdefault("max_resource", objective.max_resource)
    else:
        epochs = options.setdefault("max_resource", 1)
        objective = FunctionObjective(objective, max_resource=epochs, metric=metric)
    executor = SimulatedExecutor(objective, num_workers, seed=seed, **cluster)
    return tune(_never_called, space, metric=metric, executor=executor, seed=seed, **options)


def _never_called(args: Any, reporter: Any) -> None:
    raise AssertionError("the simulated executor asks the objective")
