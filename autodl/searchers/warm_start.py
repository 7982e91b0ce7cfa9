"""Go on from what earlier runs found out: a searcher is told their trials before its first proposal."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from autodl.errors import ConfigError, OptionError
from autodl.objectives import Goals, Objective, squashed
from autodl.searchers.binding import Binding, bound
from autodl.searchers.protocol import BindableSearcher, Searcher
from autodl.searchers.registry import get_searcher
from autodl.searchers.scalarised import for_goals
from autodl.spaces.search_space import SearchSpace
from autodl.trial import Config, Report, Trial, TrialState


@runtime_checkable
class EarlierRun(Protocol):
    """What is read of an earlier run; a `autodl.result.TuneResult` has it."""

    @property
    def trials(self) -> Sequence[Trial]:
        """All its trials."""
        ...

    @property
    def metric(self) -> str:
        """The metric's name."""
        ...

    @property
    def mode(self) -> str:
        """``"min"`` or ``"max"``."""
        ...

    @property
    def goals(self) -> Goals | None:
        """All objectives and constraints; None: the metric alone."""
        ...

    @property
    def path(self) -> Path:
        """Its directory."""
        ...


class WarmStartSearcher:
    """Tells another searcher of the ended trials of earlier runs, as trials that it did not propose.

    Their numbers are negative there, so that they never meet this run's. Each is told as it was
    then: its measurements in their order, then its end. Their configs are not proposed again; to
    have the best of them in this run's result as well, name them in ``points_to_evaluate``.

    ``ad.tune(..., warm_start="runs/old")`` makes one from runs' directories.

    Args:
        runs: results of earlier runs (`autodl.load_result` reads a directory), oldest first.
        then: the searcher that is told, or its name.
        fill_defaults: configs that lack labels of the present space get these labels' defaults:
            right if what is new used to be fixed at the default. Otherwise they are left out.

    Raises:
        OptionError: what is given is no run.

    Example::

        old = ad.load_result("runs/old")
        ad.tune(train, searcher=WarmStartSearcher([old], then="gp", fill_defaults=True), ...)
    """

    def __init__(
        self, runs: Sequence[EarlierRun], then: str | Searcher = "auto", *, fill_defaults: bool = False
    ) -> None:
        self.runs = tuple(runs)
        for run in self.runs:
            if not isinstance(run, EarlierRun):
                raise OptionError(f"a run to start from is the result of one, got {run!r}")
        self.then = get_searcher(then)
        self.fill_defaults = fill_defaults
        self._goals: Goals | None = None
        self._binding: Binding | None = None

    def bind_objectives(self, goals: Goals) -> None:
        """See `autodl.searchers.protocol.GoalSearcher.bind_objectives`.

        Raises:
            OptionError: an earlier run had another metric or mode.
        """
        for run in self.runs:
            _check_goals(run, goals)
        self._goals = goals
        self.then = for_goals(self.then, goals)
        tell = getattr(self.then, "bind_objectives", None)
        if callable(tell):
            tell(goals)

    def bind(self, space: SearchSpace, *, seed: int) -> None:
        """See `autodl.searchers.protocol.BindableSearcher.bind`; warns of configs that do not fit."""
        self._binding = Binding(space, seed)
        if isinstance(self.then, BindableSearcher):
            self.then.bind(space, seed=seed)
        trials = [trial for run in self.runs for trial in run.trials if trial.state.ended]
        number, misfits, first = 0, 0, ""
        told: list[Config] = []
        self._measure_scores(trials)
        for trial in trials:
            try:
                config = space.complete(trial.config) if self.fill_defaults else dict(trial.config)
                space.validate(config)
            except ConfigError as error:
                misfits, first = misfits + 1, first or str(error)
                continue
            number -= 1
            told.append(config)
            for report in self._reports(trial, number, config):
                self.then.observe(report)
        self.skip(told)
        if misfits:
            warnings.warn(
                f"warm start: {misfits} of {len(trials)} earlier trials are left out, their configs do not "
                f"fit the present space; the first: {first}",
                RuntimeWarning,
                stacklevel=2,
            )

    def skip(self, configs: Iterable[Config]) -> None:
        """Do not propose these: they are tried anyway."""
        skip = getattr(self.then, "skip", None)
        if callable(skip):
            skip(list(configs))

    def suggest(self, trial_id: int) -> Config | None:
        """What the other searcher proposes."""
        bound(self._binding, self)
        return self.then.suggest(trial_id)

    def observe(self, report: Report) -> None:
        """Told to the other searcher."""
        self.then.observe(report)

    def note(self) -> list[dict[str, Any]]:
        """What a journal keeps of the runs, to know them again on resume: place and fingerprint."""
        return [{"path": str(run.path), "digest": _digest(run)} for run in self.runs]

    def _reports(self, trial: Trial, number: int, config: Config) -> list[Report]:
        """As the run told them: one for each resource, then the end with the best of them."""
        told: list[Report] = []
        reached = -1
        for report in trial.reports:
            if report.resource > reached and report.score is not None:
                reached = report.resource
                told.append(self._renamed(report, number, config))
        best = max(told, key=lambda report: report.merit, default=None)
        end = Report(number, config, trial.state, trial.resource, None, None)
        if best is not None:
            end = dataclasses.replace(best, state=trial.state, resource=trial.resource)
        return [*told, end]

    def _renamed(self, report: Report, number: int, config: Config) -> Report:
        renamed = dataclasses.replace(report, trial_id=number, config=config, state=TrialState.RUNNING)
        if self._goals is None or not self._goals.constraints:
            return renamed
        violation = self._goals.violation(report.metrics)
        score = report.score
        if violation > 0.0 and score is not None:  # below all that keep the constraints
            score = min(score, self._low) - squashed(violation) * self._span
        return dataclasses.replace(renamed, violation=violation, score=score)

    def _measure_scores(self, trials: Sequence[Trial]) -> None:
        """The lowest score and the range of scores, to tell of missed constraints as a run does."""
        scores = [r.score for trial in trials for r in trial.reports if r.score is not None]
        self._low = min(scores, default=0.0)
        self._span = (max(scores, default=0.0) - self._low) or 1.0

    def __repr__(self) -> str:
        return f"WarmStartSearcher({len(self.runs)} runs, then={self.then!r})"


def _check_goals(run: EarlierRun, goals: Goals) -> None:
    found = run.goals.objectives if run.goals is not None else (Objective(run.metric, run.mode),)
    if found != goals.objectives:
        there, here = (
            ", ".join(f"{o.metric} ({o.mode})" for o in objectives)
            for objectives in (found, goals.objectives)
        )
        raise OptionError(
            f"warm start: the run in {run.path} searched {there}, this one searches {here}: their values "
            "do not compare; name the same metric and mode, or leave that run out"
        )


def _digest(run: EarlierRun) -> str:
    """Differs where a searcher would be told something else."""
    told = [
        [trial.config, trial.state, [[r.resource, repr(r.score), r.metrics] for r in trial.reports]]
        for trial in run.trials
        if trial.state.ended
    ]
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:16]


def earlier_runs(searcher: object) -> list[dict[str, Any]]:
    """The `WarmStartSearcher.note` of a searcher, or of what it hands over to; empty without one."""
    while searcher is not None:
        if isinstance(searcher, WarmStartSearcher):
            return searcher.note()
        searcher = getattr(searcher, "then", None) or getattr(searcher, "searcher", None)
    return []


def check_earlier_runs(
    found: Sequence[Mapping[str, Any]], expected: Sequence[Mapping[str, Any]]
) -> str | None:
    """Why a run cannot be resumed with these earlier runs, in words; None: they are the same.

    Args:
        found: the notes in the run's journal.
        expected: the notes of the present call.
    """
    if [run["digest"] for run in found] == [run["digest"] for run in expected]:
        return None
    there, here = (", ".join(str(run["path"]) for run in runs) or "nothing" for runs in (found, expected))
    if there == here:
        return f"warm_start: {there} has changed since the run began"
    return f"warm_start: {there} there, {here} here"
