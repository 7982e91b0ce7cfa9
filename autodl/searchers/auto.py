"""The searcher of those who name none: picked by budget, space and scheduler."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from autodl.objectives import Goals
from autodl.searchers.binding import Binding, bound
from autodl.searchers.protocol import BindableSearcher, GoalSearcher, Searcher
from autodl.spaces.search_space import SearchSpace
from autodl.trial import Config, Report, TrialState

_log = logging.getLogger("autodl")

_GP_TRIALS = 500  # a Gaussian process costs a tenth of a second a proposal from there on
_MOBSTER_TRIALS = 1_000  # and so does one of rungs: most trials end at the lowest
_GP_PARAMETERS = 40  # more have too many length scales to learn
_TPE_TRIALS = 5_000  # densities of more trials cost more than they tell
_TPE_PARAMETERS = 500
_FEW_CONFIGS = 10  # so few are all tried before a model knows anything


class AutoSearcher:
    """Picks a searcher when the run begins, and a cheaper one when trials become too many for it.

    | what is known of the run | searcher |
    |---|---|
    | the space has at most 10 configs | ``random`` (each config once) |
    | the scheduler changes configs itself (PBT) | ``sobol`` |
    | several metrics: the first 500 trials; then | ``gp`` for several; ``nsga2`` |
    | rungs (ASHA, Hyperband, ...), at most 40 parameters: the first 1,000 trials | ``mobster`` |
    | at most 40 parameters: the first 500 trials | ``gp`` |
    | at most 500 parameters: the first 5,000 trials | ``tpe`` |
    | all else | ``evolution`` |

    What was learned is handed over. A run of more than 5,000 trials begins with one of the cheap
    ones. A smaller `num_trials` decides nothing, so that a run may be resumed with a larger one.

    Args:
        num_trials: how many trials are planned; None: not known.
        scheduler: the run's scheduler; None: trials run to their end.
        max_resource: epochs of a full trial, if known.

    Attributes:
        chosen: the searcher that proposes now; None before `bind`.
    """

    def __init__(
        self, num_trials: int | None = None, scheduler: object = None, max_resource: int | None = None
    ) -> None:
        self.num_trials = num_trials
        self.chosen: Searcher | None = None
        self._scheduler = scheduler
        self._max_resource = max_resource
        self._goals: Goals | None = None
        self._binding: Binding | None = None

    def bind_objectives(self, goals: Goals) -> None:
        """See `autodl.searchers.protocol.GoalSearcher.bind_objectives`."""
        self._goals = goals

    def bind(self, space: SearchSpace, *, seed: int) -> None:
        """See `autodl.searchers.protocol.BindableSearcher.bind`."""
        self._binding = Binding(space, seed)
        self._tried: dict[int, Config] = {}
        self._skipped: list[Config] = []
        self._reports: list[Report] = []
        self._name = ""
        self._take(self._pick(0))

    def skip(self, configs: Iterable[Config]) -> None:
        """Do not propose these: they are tried anyway."""
        skipped = list(configs)
        if self._may_change:
            self._skipped += skipped
        _skip(self.chosen, skipped)

    def suggest(self, trial_id: int) -> Config | None:
        """What the chosen searcher proposes."""
        bound(self._binding, self)
        assert self.chosen is not None
        if self._may_change:
            name = self._pick(len(self._tried))
            if name != self._name:
                self._hand_over(name)
        config = self.chosen.suggest(trial_id)
        if config is not None and self._may_change:
            self._tried[trial_id] = config
        return config

    def observe(self, report: Report) -> None:
        """Told to the chosen searcher."""
        assert self.chosen is not None
        if self._may_change:
            self._tried.setdefault(report.trial_id, report.config)
            self._reports.append(report)
        self.chosen.observe(report)

    @property
    def _may_change(self) -> bool:
        """Whether more trials can bring another searcher."""
        return self._name in ("gp", "mobster", "tpe")

    def _pick(self, known: int) -> str:
        """The name of the searcher that goes on after so many known trials."""
        space = bound(self._binding, self).space
        is_long = (self.num_trials or 0) > _TPE_TRIALS
        if space.size is not None and space.size <= _FEW_CONFIGS:
            return "random"
        if hasattr(self._scheduler, "quantile"):  # population-based training
            return "sobol"
        if self._goals is not None and len(self._goals.objectives) > 1:
            return "nsga2" if is_long or known >= _GP_TRIALS else "gp"
        has_rungs = hasattr(self._scheduler, "reduction_factor")
        most = 0 if is_long else _MOBSTER_TRIALS if has_rungs else _GP_TRIALS
        if known < most and len(space) <= _GP_PARAMETERS:
            return "mobster" if has_rungs else "gp"
        if known < _TPE_TRIALS and len(space) <= _TPE_PARAMETERS:
            return "tpe"
        return "evolution"

    def _take(self, name: str) -> None:
        # `scalarised` and the registry know this module.
        from autodl.searchers.registry import get_searcher  # noqa: PLC0415
        from autodl.searchers.scalarised import for_goals  # noqa: PLC0415

        binding = bound(self._binding, self)
        known = {
            key: getattr(self._scheduler, key, None)
            for key in ("max_resource", "grace_period", "reduction_factor")
        }
        known["max_resource"] = self._max_resource or known["max_resource"]
        chosen = get_searcher(name, **known)
        if self._goals is not None:
            chosen = for_goals(chosen, self._goals)
            if isinstance(chosen, GoalSearcher):
                chosen.bind_objectives(self._goals)
        if isinstance(chosen, BindableSearcher):
            chosen.bind(binding.space, seed=binding.seed)
        self._name, self.chosen = name, chosen
        _log.info("searcher auto: %r from trial %d on", chosen, max(self._tried, default=-1) + 1)

    def _hand_over(self, name: str) -> None:
        """Let another searcher go on, which is told all that was reported."""
        self._take(name)
        assert self.chosen is not None
        _skip(self.chosen, [*self._skipped, *self._tried.values()])
        for report in self._reports:
            self.chosen.observe(report)
        heard = {report.trial_id for report in self._reports}
        for trial_id, config in self._tried.items():
            if trial_id not in heard:  # as any trial that has measured nothing yet
                self.chosen.observe(Report(trial_id, config, TrialState.RUNNING, 0, None, None))

    def __repr__(self) -> str:
        return f"AutoSearcher(num_trials={self.num_trials}, chosen={self.chosen!r})"


def _skip(searcher: Any, configs: list[Config]) -> None:
    skip = getattr(searcher, "skip", None)
    if callable(skip):
        skip(configs)
