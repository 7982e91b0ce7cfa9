"""A run read back from its directory: no training function, searcher or scheduler needed.

The journal holds all that was decided, so this only collects it. `autodl.engine.replay` is what
goes on with a run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autodl.errors import JournalError
from autodl.journal import read_journal
from autodl.measure import measure
from autodl.objectives import Goals
from autodl.result import TuneResult
from autodl.spaces.search_space import SearchSpace
from autodl.trial import Trial, TrialState

JOURNAL_NAME = "journal.jsonl"


def load_result(path: str | Path) -> TuneResult:
    """The result of the run in a directory, finished or not.

    Args:
        path: the run's directory, or its ``journal.jsonl``.

    Returns:
        ``stopped_by`` is "unfinished" for a run that goes on or was killed; a space that holds
        objects checks configs, but cannot build them.

    Raises:
        JournalError: no journal of autodl, or a damaged one.
    """
    path = Path(path).expanduser().absolute()
    journal = path if path.is_file() else path / JOURNAL_NAME
    events = read_journal(journal)
    if not events or events[0].get("event") != "run":
        raise JournalError(f"{journal} is not a journal of autodl: its first line is no run event")
    head = events[0]
    goals = Goals.from_json(head)
    trials: list[Trial] = []
    for number, event in enumerate(events[1:], start=2):
        try:
            _apply(trials, event, goals)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise JournalError(f"line {number} of the journal {journal} makes no sense: {error!r}") from error
    last = events[-1]
    return TuneResult(
        trials,
        goals.objectives[0].metric,
        goals.objectives[0].mode,
        journal.parent,
        max(event.get("s", 0.0) for event in events),
        None if head.get("space") is None else SearchSpace.from_json(head["space"]),
        last["stopped_by"] if last.get("event") == "done" else "unfinished",
        goals,
    )


def _apply(trials: list[Trial], event: dict[str, Any], goals: Goals) -> None:
    kind = event.get("event")
    if kind == "start":
        trials.append(Trial(event["trial"], event["config"], started_s=event["s"]))
        return
    if kind not in ("resume", "report", "pause", "lost", "requeue", "end", "cut"):
        return  # idle, done, and what later versions add
    trial = trials[event["trial"]]
    match kind:
        case "report":
            metrics = {name: float(value) for name, value in event["metrics"].items()}
            trial.reports.append(measure(goals, trial, event["resource"], metrics)[0])
            trial.worker = event.get("worker", "")
        case "resume" | "lost" | "requeue":
            trial.state, trial.ended_s = TrialState.RUNNING, None
            trial.attempt += 1
            if "config" in event or "copy_from" in event:
                source = trials[event["copy_from"]] if "copy_from" in event else None
                trial.go_on_with(event.get("config", trial.config), source)
        case "pause":
            trial.state = TrialState.PAUSED
        case _:
            trial.state = TrialState(event.get("state", TrialState.STOPPED))
            trial.ended_s, trial.error = event["s"], event.get("error")
