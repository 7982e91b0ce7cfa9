"""`tune`: search the best config of a training function, in one call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from autodl.checks import check_whole
from autodl.engine.driver import Tuner
from autodl.engine.types import Objective, RunOptions
from autodl.errors import JournalError, OptionError
from autodl.executors.joblib_pool import JoblibExecutor
from autodl.executors.protocol import Executor
from autodl.executors.serial import SerialExecutor
from autodl.objectives import ConstraintsLike, infer_mode, make_goals
from autodl.result import TuneResult
from autodl.saved_result import load_result
from autodl.schedulers.protocol import Scheduler
from autodl.schedulers.registry import get_scheduler
from autodl.searchers.points import PortfolioSearcher
from autodl.searchers.protocol import Searcher
from autodl.searchers.registry import get_searcher
from autodl.searchers.scalarised import for_goals
from autodl.searchers.warm_start import WarmStartSearcher
from autodl.spaces.base import Space
from autodl.spaces.decorators import Args, TunableFunction
from autodl.spaces.nested import Dict
from autodl.spaces.search_space import SearchSpace
from autodl.timelimit import parse_time_limit
from autodl.trial import Config, Value

__all__ = ["Objective", "RunOptions", "Tuner", "infer_mode", "make_executor", "tune"]

WarmStart = str | Path | TuneResult | Sequence[str | Path | TuneResult]
"""Earlier runs: a directory or a result, or several."""

EPOCH_NAMES = ("epochs", "max_epochs", "num_epochs")
"""Constants of a space that say how many epochs a full trial has."""


def tune(  # noqa: PLR0913  # the one-call facade: every part can be swapped by name or object
    function: TunableFunction | Callable[..., Any],
    space: SearchSpace | Space | Mapping[str, Any] | None = None,
    *,
    metric: str | Sequence[str],
    mode: str | Sequence[str | None] | None = None,
    constraints: ConstraintsLike = None,
    searcher: str | Searcher = "auto",
    scheduler: str | Scheduler = "fifo",
    num_trials: int | None = None,
    time_limit: str | float | timedelta | None = None,
    num_workers: int = 1,
    executor: Executor | None = None,
    path: str | Path | None = None,
    seed: int = 0,
    resume: bool = False,
    callbacks: Iterable[object] = (),
    max_resource: int | None = None,
    points_to_evaluate: Sequence[Mapping[str, Value]] = (),
    warm_start: WarmStart = (),
    keep_checkpoints: int | None = 5,
    max_losses: int = 3,
) -> TuneResult:
    """Search the config with the best metric.

    Args:
        function: decorated by `autodl.args`; or, with `space`, any ``function(args, reporter)``.
        space: the search space of an undecorated function.
        metric: what trials report by ``reporter(accuracy=...)``; several names search the best
            trade-offs between them, see `TuneResult.pareto_front`.
        mode: ``"min"`` or ``"max"``, or one for each metric; None: "min" if the metric's name says
            loss, error, mse, mae, rmse, perplexity, latency or time, else "max".
        constraints: what a config must keep to be of use: ``{"latency_ms": "<= 20"}``, or triples
            such as ``("latency_ms", "<=", 20)``. Any metric that trials report can be bounded.
        searcher: a name ("auto", "random", "sobol", "grid", "gp", "bayesian", "tpe", "bohb", "mobster",
            "cmaes", "evolution", "reinforce", "nsga2") or any object with `suggest` and `observe`.
            "auto" picks one by budget, space and scheduler, see `autodl.searchers.AutoSearcher`.
        scheduler: a name ("fifo", "asha", "hyperband", "sync_halving", "median", "pbt") or any object
            with `handle`.
        num_trials: how many trials at most. This or `time_limit` is needed unless the searcher
            runs out of proposals by itself.
        time_limit: wall-clock limit of this call: seconds, ``"10m"``, ``"1h30m"``. Trials under way
            are cut when it is over.
        num_workers: trials that run at once, each in a process of its own if more than one.
        executor: where trials run, instead of `num_workers`.
        path: directory of the run, which can be resumed; None: a temporary one, removed at exit.
        seed: the same seed gives the same trials, with searchers that learn on one worker only.
        resume: go on with the run at `path` if there is one.
        callbacks: see `autodl.engine.callbacks`.
        max_resource: resource (epochs) of a full trial, for schedulers and searchers that ask for it;
            None: the space's constant ``epochs`` (or ``max_epochs``, ``num_epochs``) if it has one.
        points_to_evaluate: configs, or parts of some, to try first.
        warm_start: earlier runs of the same metric whose trials the searcher learns from at the start:
            a run's directory, a result, or several of them. Their configs are not proposed again;
            those that do not fit the space are left out, with a warning.
        keep_checkpoints: keep ``reporter.save`` files of this many best ended trials; None: all.
        max_losses: a trial whose worker died, or hung, starts again from its checkpoint; one under
            which so many workers died has failed.

    Returns:
        Trials, the best config, how the run ended.

    Raises:
        AllTrialsFailedError: no trial reported the metric; it shows the first traceback.
        RunExistsError: `path` holds a run already.
        JournalError: there is no run to start from, or to resume with these settings.
        OptionError: an argument is not allowed.

    Example:
        >>> from autodl.spaces import Real
        >>> def train(args, reporter):
        ...     reporter(loss=(args.x - 0.3) ** 2)
        >>> tune(train, {"x": Real(0, 1)}, metric="loss", num_trials=20).best_value < 0.05
        True
    """
    started_at = time.time()
    goals = make_goals(metric, mode, constraints)
    options = RunOptions(
        goals.objectives[0],
        num_trials,
        parse_time_limit(time_limit),
        seed,
        resume,
        keep_checkpoints,
        started_at=started_at,
        further_objectives=goals.objectives[1:],
        constraints=goals.constraints,
        max_losses=max_losses,
    )
    run, search_space = _with_space(function, space)
    _check_limits(searcher, options, search_space)
    max_resource = _epochs_of(search_space) if max_resource is None else max_resource
    made_scheduler = get_scheduler(scheduler, max_resource=max_resource, population=num_trials)
    found = get_searcher(searcher, max_resource=max_resource, num_trials=num_trials, scheduler=made_scheduler)
    made = for_goals(found, goals)
    earlier = _earlier_runs(warm_start)
    if earlier:
        made = WarmStartSearcher(earlier, then=made)
    if points_to_evaluate:
        made = PortfolioSearcher(points_to_evaluate, then=made)
    tuner = Tuner(
        run,
        search_space,
        searcher=made,
        scheduler=made_scheduler,
        executor=make_executor(num_workers) if executor is None else executor,
        options=options,
        path=path,
        callbacks=callbacks,
    )
    return tuner.run()


def make_executor(num_workers: int) -> Executor:
    """In this process for one worker, in processes of their own for more.

    Raises:
        OptionError: not a whole number >= 1.
    """
    check_whole("num_workers", num_workers)
    return SerialExecutor() if num_workers == 1 else JoblibExecutor(num_workers)


class _Plain:
    """An undecorated function and its space, together."""

    def __init__(self, function: Callable[..., Any], space: SearchSpace) -> None:
        self.function, self.space = function, space

    def run(self, config: Config, reporter: Any) -> Any:
        """Call the function as `autodl.args` would; the flat config where the space has no names."""
        named = isinstance(self.space.root, Dict)
        return self.function(Args(self.space, config) if named else config, reporter)


def _with_space(function: Any, space: Any) -> tuple[Callable[[Config, Any], Any], SearchSpace]:
    if isinstance(function, TunableFunction):
        if space is not None:
            raise OptionError(
                "the function has a space from @autodl.args already; change it by function.update(...) "
                "instead of passing another"
            )
        return function.run, function.space
    if not callable(function):
        raise OptionError(f"function must be callable, got {function!r}")
    if space is None:
        raise OptionError(
            "what is to be searched? decorate the function with @autodl.args(lr=...), or pass a space: "
            "tune(function, {'lr': Real(1e-4, 1e-1, log=True)}, ...)"
        )
    made = space if isinstance(space, SearchSpace) else SearchSpace(space)
    return _Plain(function, made).run, made


def _epochs_of(space: SearchSpace) -> int | None:
    """The whole number of epochs that the space names as a constant."""
    if not isinstance(space.root, Dict):
        return None
    constants = dict(space.root.items)
    for name in EPOCH_NAMES:
        epochs = constants.get(name)
        if isinstance(epochs, int) and not isinstance(epochs, bool) and epochs >= 1:
            return epochs
    return None


def _earlier_runs(given: WarmStart) -> list[TuneResult]:
    runs = [given] if isinstance(given, str | Path | TuneResult) else list(given)
    found = []
    for run in runs:
        try:
            found.append(run if isinstance(run, TuneResult) else load_result(run))
        except JournalError as error:
            raise JournalError(
                f"warm_start={str(run)!r}: {error}. If that run was moved, name its new place; to resume "
                "a run that was started from it, it must be there, unchanged"
            ) from error
    return found


def _check_limits(searcher: object, options: RunOptions, space: SearchSpace) -> None:
    limited = options.num_trials is not None or options.time_limit_s is not None
    # Of those that have a name only the grid comes to its end in an infinite space.
    if not limited and isinstance(searcher, str) and searcher != "grid" and space.size is None:
        raise OptionError(f"give num_trials or time_limit: searcher {searcher!r} would never end")
