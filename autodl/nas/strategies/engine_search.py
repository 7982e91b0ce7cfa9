"""Any searcher and scheduler of the engine on a space of architectures, with or without a recipe.

An architecture is a flat config like any other: random search, evolution, MOBSTER and the rest
search it, alone or together with how it is trained, on any executor.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from autodl.checks import check_whole
from autodl.executors.protocol import Executor
from autodl.nas.costs import Cost
from autodl.nas.data import NASData
from autodl.nas.engine_trials import REWARD, EngineRecorder, TrialFunction, joint_space
from autodl.nas.evaluators import Evaluator
from autodl.nas.fitting import FitOptions
from autodl.nas.judge import Judge, as_evaluator
from autodl.nas.objectives import Objective
from autodl.nas.result import NASResult
from autodl.nas.retrain import finish, ranking, search_share
from autodl.nas.space import Space
from autodl.nas.strategy import Run, RunSettings
from autodl.schedulers.protocol import Scheduler
from autodl.searchers.protocol import Searcher
from autodl.spaces import SearchSpace
from autodl.tuner import tune


class EngineSearch:
    """Multi-trial search by the engine; units of a budget are trials.

    Args:
        searcher: a name ("random", "evolution", "tpe", "mobster", ...) or a searcher.
        scheduler: None or "fifo": every network is trained to the end; "asha" and the like end bad
            ones early.
        recipe: spaces of fields of `FitOptions` that are searched with the architecture, such as
            ``{"lr": Real(0.01, 1, log=True)}``; not with an evaluator.
        fit: how networks are trained, where the search gets images; a report an epoch.
        resources: what an evaluator is asked for in turn, a report each (epochs of a table: 12, 200);
            None: once, for its default.
        trials: of a search whose budget names none.
        num_workers: trials that run at once.
        executor: where they run, instead.
        retrain_top: best architectures that are trained again in the end; 0: none, and the network
            of the result is untrained.

    Example::

        strategy = ad.nas.strategies.EngineSearch("mobster", "asha", recipe={"lr": Real(0.01, 1, log=True)})
        result = strategy.search(space, data, budget="10min")
    """

    def __init__(  # noqa: PLR0913  # all have working defaults
        self,
        searcher: str | Searcher = "random",
        scheduler: str | Scheduler | None = None,
        *,
        recipe: Mapping[str, Any] | SearchSpace | None = None,
        fit: FitOptions | None = None,
        resources: Sequence[int] | None = None,
        trials: int = 100,
        num_workers: int = 1,
        executor: Executor | None = None,
        retrain_top: int = 0,
    ) -> None:
        check_whole("trials", trials)
        check_whole("retrain_top", retrain_top, 0)
        self.searcher, self.scheduler = searcher, scheduler or "fifo"
        parts = (self.searcher, self.scheduler)
        names = [part if isinstance(part, str) else type(part).__name__ for part in parts]
        self.name = "+".join(name for name in names if name != "fifo")
        self.recipe, self.fit = recipe, fit or FitOptions()
        self.resources = None if resources is None else tuple(resources)
        self.trials, self.num_workers, self.executor = trials, num_workers, executor
        self.retrain_top = retrain_top

    def search(
        self,
        space: Space,
        data: NASData | Evaluator,
        *,
        objective: Objective | None = None,
        cost: Cost | None = None,
        **settings: Unpack[RunSettings],
    ) -> NASResult:
        """See `autodl.nas.strategy.Strategy.search`."""
        run = Run(self.name, default_units=self.trials, **settings)
        # A search that had ended, and was killed in the retraining, has its trials in the journal, too.
        run.history = [record for record in run.history if record.extra.get("phase") == "retrain"]
        judge = Judge(as_evaluator(space, data, self.fit, run.seed), objective=objective, cost=cost)
        self._tune(run, space, data, judge, resume=settings.get("resume", False) and run.path is not None)
        found = ranking(r for r in run.history if "phase" not in r.extra)
        return finish(run, space, data, found, judge, dict, top=self.retrain_top, fit=self.fit)

    def _tune(
        self,
        run: Run,
        space: Space,
        data: NASData | Evaluator,
        judge: Judge,
        *,
        resume: bool,
    ) -> None:
        recorder = EngineRecorder(run, space)
        function = TrialFunction(space, data, judge, self.fit, self.resources, run.seed)
        rungs = len(self.resources or (0,)) if function.data is None else self.fit.epochs
        seconds = None if run.seconds is None else search_share(self.retrain_top) * run.seconds
        result = tune(
            function,
            joint_space(space, self.recipe, is_trained=function.data is not None),
            metric=REWARD,
            mode="max",
            searcher=copy.deepcopy(self.searcher),
            scheduler=copy.deepcopy(self.scheduler),
            num_trials=None if run.is_timed else run.units,
            time_limit=seconds,
            num_workers=self.num_workers,
            executor=self.executor,
            path=None if run.path is None else run.path / "trials",
            seed=run.seed,
            resume=resume,
            callbacks=[recorder],
            max_resource=rungs,
        )
        recorder.close(result)
