"""A run as an Optuna study, for its dashboard and whatever else reads studies."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from autodl.errors import MissingDependencyError
from autodl.objectives import Goals
from autodl.report.fronts import trial_scores
from autodl.report.view import ResultView, TrialView, goals_of
from autodl.report.wording import error_summary
from autodl.spaces.base import Domain
from autodl.spaces.categorical import Categorical
from autodl.spaces.domains import Bool, Int, Real
from autodl.spaces.search_space import SearchSpace
from autodl.trial import TrialState


class _Exportable(ResultView, Protocol):
    """What is read beyond a result's trials: a `TuneResult` has it."""

    @property
    def path(self) -> Path: ...
    @property
    def seconds(self) -> float: ...
    @property
    def space(self) -> SearchSpace | None: ...


def to_optuna(result: _Exportable, storage: Any, study_name: str) -> Any:
    """A new study with all trials of a run.

    States: completed is COMPLETE, failed is FAIL, stopped and paused are PRUNED, running is RUNNING.
    A trial's value is its best. Conditional parameters stand only where they are active; numbers
    of constraints follow Optuna's rule (above 0: missed).

    Args:
        result: a run.
        storage: as `optuna.create_study` takes it.
        study_name: must be new in the storage.

    Returns:
        An `optuna.study.Study`.

    Raises:
        MissingDependencyError: Optuna is not installed.
    """
    try:
        import optuna  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise MissingDependencyError("Optuna is not installed: pip install 'autodl[optuna]'") from error
    goals = goals_of(result)
    directions: list[Any] = [
        "maximize" if objective.mode == "max" else "minimize" for objective in goals.objectives
    ]
    study = optuna.create_study(storage=storage, study_name=study_name, directions=directions)
    with warnings.catch_warnings():  # experimental for years, and what the dashboard shows
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names([objective.metric for objective in goals.objectives])
    began = _began(result)
    labels = {label for trial in result.trials for label in trial.config}
    spaces = {label: _distribution(result, label) for label in labels}
    for trial in result.trials:
        study.add_trial(_frozen(trial, goals, spaces, began))
    return study


def _frozen(trial: TrialView, goals: Goals, spaces: Mapping[str, Any], began: datetime) -> Any:
    import optuna  # noqa: PLC0415  # an extra

    best = trial.best
    values: list[float] | None = None
    if best is not None and trial.state is not TrialState.FAILED:
        scores = trial_scores(trial, goals) or ()
        values = [objective.score(s) for objective, s in zip(goals.objectives, scores, strict=True)]
    state = _state(trial.state, values is not None)
    curve = {r.resource: float(r.value) for r in trial.reports if r.value is not None}
    ended = trial.ended_s if trial.ended_s is not None else trial.started_s
    notes: dict[str, Any] = {"autodl_state": str(trial.state), "resource": trial.resource}
    if trial.worker:
        notes["worker"] = trial.worker
    if trial.error:
        notes["error"] = error_summary(trial.error)
    system = {}
    if goals.constraints and best is not None:
        system["constraints"] = [_signed(c.metric, c.sign, c.bound, best.metrics) for c in goals.constraints]
    return optuna.trial.FrozenTrial(
        number=-1,  # the study gives both numbers
        trial_id=-1,
        state=state,
        value=None,
        values=values if state.is_finished() else None,
        datetime_start=began + timedelta(seconds=trial.started_s),
        datetime_complete=began + timedelta(seconds=ended) if state.is_finished() else None,
        params=dict(trial.config),
        distributions={label: spaces[label] for label in trial.config},
        user_attrs=notes,
        system_attrs=system,
        intermediate_values=curve,
    )


def _state(state: TrialState, has_values: bool) -> Any:
    from optuna.trial import TrialState as Theirs  # noqa: PLC0415  # an extra

    if state is TrialState.RUNNING:
        return Theirs.RUNNING
    if state is TrialState.COMPLETED and has_values:
        return Theirs.COMPLETE
    return Theirs.FAIL if state in (TrialState.FAILED, TrialState.COMPLETED) else Theirs.PRUNED


def _signed(metric: str, sign: str, bound: float, metrics: Mapping[str, float]) -> float:
    value = metrics.get(metric, math.nan)
    beyond = value - bound if sign == "<=" else bound - value
    return float(beyond) if math.isfinite(beyond) else 1e30


def _distribution(result: _Exportable, label: str) -> Any:
    from optuna import distributions as theirs  # noqa: PLC0415  # an extra

    domain: Domain | None = None
    if result.space is not None and label in result.space:
        domain = result.space[label].domain
    match domain:
        case Real():
            return theirs.FloatDistribution(domain.low, domain.high, log=domain.log)
        case Int():
            return theirs.IntDistribution(domain.low, domain.high, log=domain.log)
        case Bool():
            return theirs.CategoricalDistribution([False, True])
        case Categorical():
            return theirs.CategoricalDistribution(list(domain.names))
    seen = [trial.config[label] for trial in result.trials if label in trial.config]
    return theirs.CategoricalDistribution(list(dict.fromkeys(seen)))


def _began(result: _Exportable) -> datetime:
    """When the run began, in local time as Optuna keeps it: by its journal, else by its length."""
    try:
        with (result.path / "journal.jsonl").open(encoding="utf-8") as file:
            created = json.loads(file.readline())["created"]
        return datetime.strptime(created, "%Y-%m-%dT%H:%M:%S%z").astimezone().replace(tzinfo=None)
    except (OSError, ValueError, KeyError, TypeError):
        return datetime.now() - timedelta(seconds=result.seconds)
