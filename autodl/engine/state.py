"""The state of a search: what searcher and scheduler are told, and what they answer.

A state machine without clock, file or process: times are arguments. The tuner feeds it what
happens; a resumed run feeds it the journal. Both end in the same state.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from autodl.engine.judge import Judge
from autodl.engine.propose import Proposer
from autodl.engine.types import Idle, Launch, Objective, Verdict
from autodl.errors import OptionError
from autodl.executors.protocol import Decision
from autodl.objectives import Goals
from autodl.schedulers.protocol import (
    Action,
    Continue,
    Event,
    Pause,
    Scheduler,
    Stop,
    TrialFailed,
    TrialFinished,
    TrialPaused,
    TrialReported,
    TrialStarted,
)
from autodl.searchers.protocol import Searcher
from autodl.spaces.search_space import SearchSpace
from autodl.trial import Report, Trial, TrialState

_DECISION_OF = {Continue: Decision.CONTINUE, Pause: Decision.PAUSE, Stop: Decision.STOP}


@dataclass(slots=True)
class _Live:
    """What is known of a trial that has not ended."""

    to_resource: int | None
    decision: Decision = Decision.CONTINUE  # given, not yet carried out
    failure: str | None = None  # why `decision` stops it, when that is a failure
    told: int = -1  # highest resource told to searcher and scheduler
    recorded: int = -1  # highest resource recorded
    floor: int = -1  # recorded by earlier attempts: what is reported up to it is a repetition
    losses: int = 0
    best: Report | None = None


class SearchState:
    """Searcher, scheduler and trials, joined.

    Args:
        space: what configs must belong to; None: anything goes.
        searcher: proposes configs.
        scheduler: decides how long trials run.
        objective: what is measured; `Goals` for several metrics or constraints.
        num_trials: how many trials at most; None: no limit.
    """

    def __init__(
        self,
        space: SearchSpace | None,
        searcher: Searcher,
        scheduler: Scheduler,
        objective: Objective | Goals,
        num_trials: int | None,
    ) -> None:
        self.trials: list[Trial] = []
        self._judge = Judge(objective if isinstance(objective, Goals) else Goals((objective,)))
        self.num_trials = num_trials
        self.num_scored = 0  # trials that reported the metric at least once
        self._searcher = searcher
        self._scheduler = scheduler
        self._proposer = Proposer(space, searcher, scheduler, self.trials)
        self._live: dict[int, _Live] = {}

    @property
    def running(self) -> list[Trial]:
        """Trials that neither ended nor are paused, by number."""
        return [trial for trial in self.unended if trial.state is TrialState.RUNNING]

    @property
    def unended(self) -> list[Trial]:
        """Trials that run or are paused, by number."""
        live = (self.trials[trial_id] for trial_id in sorted(self._live))
        return [trial for trial in live if not trial.state.ended]  # a trial cut by the run's end is over

    @property
    def is_full(self) -> bool:
        """True once `num_trials` have started."""
        return self.num_trials is not None and len(self.trials) >= self.num_trials

    def decision(self, trial_id: int) -> Decision:
        """What a live trial was told and has not yet done."""
        return self._live[trial_id].decision

    # ------------------------------------------------------------------ launching

    def propose(self, *, is_full: bool | None = None) -> Launch | Idle:
        """Ask the scheduler, then maybe the searcher, for a free worker's next job.

        Args:
            is_full: no new trials, only paused ones; None: by `num_trials`.

        Raises:
            OptionError: the scheduler breaks its contract.
            ConfigError: the searcher's config does not belong to the space.
        """
        return self._proposer.propose(is_full=self.is_full if is_full is None else is_full)

    def launch(self, launch: Launch, now_s: float) -> Trial:
        """Carry out a proposal; `now_s`: seconds since the run's start."""
        if launch.is_new:
            trial = Trial(launch.trial_id, launch.config, started_s=now_s)
            self.trials.append(trial)
            self._live[trial.trial_id] = _Live(launch.to_resource)
            self._tell(TrialStarted(trial.trial_id, trial.config))
            return trial
        trial, live = self.trials[launch.trial_id], self._live[launch.trial_id]
        live.to_resource, live.decision = launch.to_resource, Decision.CONTINUE
        if launch.copy_from is not None:  # other weights: no epoch from here on repeats an earlier one
            live.told = live.recorded = -1
        if launch.copy_from is not None or launch.config != trial.config:
            source = None if launch.copy_from is None else self.trials[launch.copy_from]
            trial.go_on_with(launch.config, source)
        return self._next_attempt(launch.trial_id)

    def requeue(self, trial_id: int, *, lost: bool) -> Launch:
        """Let a running trial start again from its last checkpoint.

        Args:
            trial_id: a running trial.
            lost: its worker died (counted against its tries); False: the driver did.
        """
        self._live[trial_id].losses += lost
        trial = self._next_attempt(trial_id)
        return Launch(trial_id, trial.config, self._live[trial_id].to_resource, is_new=False)

    def losses(self, trial_id: int) -> int:
        """How many workers died under a live trial."""
        return self._live[trial_id].losses

    def _next_attempt(self, trial_id: int) -> Trial:
        trial, live = self.trials[trial_id], self._live[trial_id]
        trial.state = TrialState.RUNNING
        trial.attempt += 1
        live.floor = live.recorded
        return trial

    # ------------------------------------------------------------------ measuring

    def report(self, trial_id: int, resource: int, metrics: dict[str, float], worker: str = "") -> Verdict:
        """A measurement of a running trial's current attempt."""
        trial, live = self.trials[trial_id], self._live[trial_id]
        if resource <= live.floor and live.decision is Decision.CONTINUE:
            return Verdict(Decision.CONTINUE)
        report, failure = self._judge.measure(trial, resource, metrics)
        if failure is not None:
            live.decision, live.failure = Decision.STOP, failure
        score = report.score
        trial.worker = worker
        trial.reports.append(report)
        live.recorded = max(live.recorded, resource)
        if score is None:
            return Verdict(live.decision, report)
        if live.best is None:
            self.num_scored += 1
        if live.best is None or report.merit > live.best.merit:
            live.best = report
        stops = self._decide(report, live)
        if (
            live.decision is Decision.CONTINUE
            and live.to_resource is not None
            and resource >= live.to_resource
        ):
            live.decision = Decision.PAUSE
        return Verdict(live.decision, report, stops)

    def _decide(self, report: Report, live: _Live) -> tuple[int, ...]:
        """Tell searcher and scheduler of a measurement; the trials to stop besides its own."""
        if report.resource <= live.told or live.decision is not Decision.CONTINUE:
            return ()  # a second report of the same epoch is a log entry, no new information
        live.told = report.resource
        told = self._judge.told(report)
        assert told.score is not None  # only reports with a score come here
        self._searcher.observe(told)
        actions = self._tell(TrialReported(report.trial_id, report.resource, told.score))
        own = [a for a in actions if isinstance(a, (Continue, Pause, Stop)) and a.trial_id == report.trial_id]
        if len(own) != 1:
            raise OptionError(
                f"a scheduler must answer TrialReported of trial {report.trial_id} with one Continue, Pause "
                f"or Stop for it, got {tuple(actions)}"
            )
        live.decision = _DECISION_OF[type(own[0])]
        return self._stop_others([a for a in actions if a is not own[0]])

    def force(self, trial_id: int, decision: Decision) -> None:
        """Set what a live trial is told; a replayed journal knows what it was."""
        self._live[trial_id].decision = decision

    def _tell(self, event: Event) -> list[Action]:
        return list(self._scheduler.handle(event))

    def _stop_others(self, actions: Iterable[Action]) -> tuple[int, ...]:
        stops = []
        for action in actions:
            if not isinstance(action, Stop):
                raise OptionError(f"a scheduler may only Stop other trials, got {action}")
            live = self._live.get(action.trial_id)
            if live is not None and live.decision is not Decision.STOP:
                live.decision = Decision.STOP
                stops.append(action.trial_id)
        return tuple(stops)

    # ------------------------------------------------------------------ ending

    def settle(self, trial_id: int, error: str | None, now_s: float) -> tuple[Trial, tuple[int, ...]]:
        """A running trial's worker is free again: it paused, ended or failed.

        Args:
            trial_id: a live trial.
            error: why it failed; None: its function returned, or left as it was told.
            now_s: seconds since the run's start.

        Returns:
            The trial in its new state, and other trials to stop.
        """
        trial, live = self.trials[trial_id], self._live[trial_id]
        if live.decision is Decision.PAUSE:
            trial.state = TrialState.PAUSED
            return trial, self._stop_others(self._tell(TrialPaused(trial_id)))
        trial.state, trial.error = self._end_state(live, error)
        trial.ended_s = now_s
        del self._live[trial_id]
        best = live.best
        final = Report(
            trial_id,
            trial.config,
            trial.state,
            trial.resource,
            None if best is None else best.value,
            None if best is None else best.score,
            {} if best is None else best.metrics,
            0.0 if best is None else best.violation,
        )
        final = self._judge.told(final)
        self._searcher.observe(final)
        if trial.state is TrialState.FAILED:
            actions = self._tell(TrialFailed(trial_id))
        else:
            actions = self._tell(TrialFinished(trial_id, final.resource, final.score))
        return trial, self._stop_others(actions)

    def _end_state(self, live: _Live, error: str | None) -> tuple[TrialState, str | None]:
        if live.failure is not None:
            return TrialState.FAILED, live.failure
        if live.decision is Decision.STOP:
            return TrialState.STOPPED, error
        if error is not None:
            return TrialState.FAILED, error
        if live.best is None:
            return (
                TrialState.FAILED,
                f"the trial never reported {self._judge.wanted}",
            )
        return TrialState.COMPLETED, None
