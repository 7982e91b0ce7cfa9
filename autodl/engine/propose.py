"""What a free worker does next: the scheduler says what kind of job, the searcher gives new configs."""

from __future__ import annotations

from typing import Any

from autodl.engine.types import Idle, Launch
from autodl.errors import ConfigError, OptionError
from autodl.schedulers.protocol import Resume, Scheduler, Start, WorkerFree
from autodl.searchers.protocol import Searcher
from autodl.spaces.search_space import SearchSpace
from autodl.trial import Config, Trial, TrialState


class Proposer:
    """Asks scheduler and searcher; changes nothing itself.

    Args:
        space: what configs must belong to; None: anything goes.
        searcher: proposes configs.
        scheduler: decides whether to start or to resume.
        trials: the run's trials, by number; the list that the run goes on to fill.
    """

    def __init__(
        self, space: SearchSpace | None, searcher: Searcher, scheduler: Scheduler, trials: list[Trial]
    ) -> None:
        self._space = space
        self._searcher = searcher
        self._scheduler = scheduler
        self._trials = trials

    def propose(self, *, is_full: bool) -> Launch | Idle:
        """The next job.

        A scheduler that would start a trial for which the searcher has no config is asked once
        more for what else there is.

        Args:
            is_full: no new trials, only paused ones.

        Raises:
            OptionError: the scheduler breaks its contract.
            ConfigError: a config does not belong to the space.
        """
        proposal = self._ask(WorkerFree(can_start=not is_full))
        if isinstance(proposal, Launch):
            return proposal
        if is_full:
            return Idle("num_trials")
        other = self._ask(WorkerFree(can_start=False)) if proposal == Idle("searcher") else proposal
        return other if isinstance(other, Launch) else proposal

    def _ask(self, event: WorkerFree) -> Launch | Idle:
        actions = tuple(self._scheduler.handle(event))
        if not actions:
            return Idle("scheduler")
        if len(actions) > 1:
            raise OptionError(f"a scheduler may answer WorkerFree with one action, got {actions}")
        match actions[0]:
            case Resume():
                return self._resume(actions[0])
            case Start(to_resource=to_resource):
                config = self._suggest(len(self._trials)) if event.can_start else None
                if config is None:
                    return Idle("searcher")
                return Launch(len(self._trials), config, to_resource, is_new=True)
        raise OptionError(f"a scheduler may answer WorkerFree with Start or Resume, got {actions[0]}")

    def _resume(self, resume: Resume) -> Launch:
        trial_id, source = resume.trial_id, resume.copy_from
        if not self._has(trial_id) or self._trials[trial_id].state is not TrialState.PAUSED:
            raise OptionError(
                f"the scheduler resumes trial {trial_id}, which is not paused (TrialPaused says when)"
            )
        if source is not None and (not self._has(source) or source == trial_id):
            raise OptionError(f"the scheduler copies the weights of trial {source} to trial {trial_id}")
        config = self._trials[trial_id].config
        if resume.config is not None:
            config = self._checked(resume.config)
        return Launch(trial_id, config, resume.to_resource, is_new=False, copy_from=source)

    def _has(self, trial_id: int) -> bool:
        return 0 <= trial_id < len(self._trials)

    def _suggest(self, trial_id: int) -> Config | None:
        proposed: Any = self._searcher.suggest(trial_id)
        if proposed is None:
            return None
        if not isinstance(proposed, dict):
            raise ConfigError(
                f"{type(self._searcher).__name__}.suggest must return a dict or None, got {proposed!r}"
            )
        return self._checked(proposed)

    def _checked(self, given: dict[str, Any]) -> Config:
        # numpy scalars are what searchers written by hand tend to return; JSON does not know them.
        config = {label: getattr(value, "item", lambda v=value: v)() for label, value in given.items()}
        if self._space is not None:
            self._space.validate(config)
        return config
