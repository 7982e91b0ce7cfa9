"""Resume is replay: the journal's events, fed to fresh state machines, rebuild the run.

Events, one a line: ``run`` (the header), ``start``, ``resume`` (with ``config`` and ``copy_from``
where a scheduler changed them, and ``full`` where no new trial could start), ``idle``, ``report``, ``pause``,
``lost``, ``requeue``, ``end``, ``cut`` (the run ended over a trial), ``done``. ``s`` is the time in
seconds since the run's start; what the tuner did beyond it stands in the event too, so that a
reader needs no state machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from autodl.engine.state import SearchState
from autodl.engine.types import Idle, Launch
from autodl.errors import JournalError
from autodl.executors.protocol import Decision
from autodl.journal import JOURNAL_VERSION
from autodl.objectives import Goals
from autodl.schedulers.protocol import Scheduler
from autodl.searchers.protocol import Searcher
from autodl.searchers.warm_start import check_earlier_runs, earlier_runs
from autodl.spaces.search_space import SearchSpace

_MUST_MATCH = ("metric", "mode", "objectives", "constraints", "seed", "space", "searcher", "scheduler")


def header(
    space: SearchSpace | None, searcher: Searcher, scheduler: Scheduler, goals: Goals, seed: int
) -> dict[str, Any]:
    """The journal's first event: what the run is, and what a resumed run must agree on."""
    first = goals.objectives[0]
    head: dict[str, Any] = {
        "event": "run",
        "version": JOURNAL_VERSION,
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "metric": first.metric,
        "mode": first.mode,
        "seed": seed,
        "searcher": type(searcher).__name__,
        "scheduler": type(scheduler).__name__,
        "space": None if space is None else space.to_json(),
    }
    earlier = earlier_runs(searcher)
    if earlier:
        head["warm_start"] = earlier
    return head if goals.is_simple else head | goals.to_json()


def check_header(found: dict[str, Any], expected: dict[str, Any], path: object) -> None:
    """Refuse to go on with another run's journal.

    Raises:
        JournalError: it names what differs.
    """
    if found.get("event") != "run":
        raise JournalError(f"{path} is not a journal of autodl: its first line is no run event")
    if found.get("version", 0) > JOURNAL_VERSION:
        raise JournalError(
            f"{path} was written by a newer autodl (journal version {found['version']}, this one reads "
            f"up to {JOURNAL_VERSION}): upgrade autodl"
        )
    differs = [key for key in _MUST_MATCH if found.get(key) != expected.get(key)]
    warm_start = check_earlier_runs(found.get("warm_start", ()), expected.get("warm_start", ()))
    if differs or warm_start:
        shown = "; ".join(
            "space: other labels or domains"
            if key == "space"
            else f"{key}: {found.get(key)!r} there, {expected.get(key)!r} here"
            for key in differs
        )
        shown = "; ".join(filter(None, (shown, warm_start)))
        raise JournalError(
            f"{path} belongs to a run with other settings ({shown}); resume with the same, or use a new path"
        )


@dataclass(slots=True)
class Replayed:
    """What replay found besides the state itself.

    Attributes:
        elapsed_s: the run's clock at the last event.
        divergence: the first answer of searcher or scheduler that was another than the journal's.
    """

    elapsed_s: float = 0.0
    divergence: str | None = None


class Replay:
    """Feeds events to a `SearchState`. The journal wins where the state machines disagree with it."""

    def __init__(self, state: SearchState) -> None:
        self._state = state
        self._result = Replayed()
        self._apply: dict[str, Callable[[dict[str, Any]], None]] = {
            "start": self._launch,
            "resume": self._launch,
            "idle": self._idle,
            "report": self._report,
            "pause": self._settle,
            "end": self._settle,
            "lost": self._requeue,
            "requeue": self._requeue,
        }

    def run(self, events: list[dict[str, Any]]) -> Replayed:
        """Apply events, the header left out, oldest first.

        Raises:
            JournalError: an event makes no sense after those before it.
        """
        for number, event in enumerate(events, start=2):
            apply = self._apply.get(event.get("event", ""))
            self._result.elapsed_s = max(self._result.elapsed_s, event.get("s", 0.0))
            if apply is None:
                continue  # events that change nothing: cut, done, and those of later versions
            try:
                apply(event)
            except (KeyError, IndexError, TypeError, ValueError) as error:
                if isinstance(error, JournalError):
                    raise
                raise JournalError(f"line {number} of the journal cannot be replayed: {error!r}") from error
        return self._result

    def _launch(self, event: dict[str, Any]) -> None:
        is_new = event["event"] == "start"
        proposal = self._state.propose(is_full=event.get("full", False))
        config = event["config"] if "config" in event else self._state.trials[event["trial"]].config
        launch = Launch(event["trial"], config, event.get("to"), is_new, event.get("copy_from"))
        if proposal != launch:
            self._note(f"launch {launch}, now it would be {proposal}")
        self._state.launch(launch, event["s"])

    def _idle(self, event: dict[str, Any]) -> None:
        proposal = self._state.propose(is_full=event["why"] == "num_trials")
        if not isinstance(proposal, Idle):
            self._note(f"no launch, now it would be {proposal}")

    def _report(self, event: dict[str, Any]) -> None:
        metrics = {name: float(value) for name, value in event["metrics"].items()}
        trial_id, decision = event["trial"], Decision(event["decision"])
        verdict = self._state.report(trial_id, event["resource"], metrics, event.get("worker", ""))
        if verdict.decision is not decision:
            self._note(f"{decision} for trial {trial_id}, now it would be {verdict.decision}")
            self._state.force(trial_id, decision)

    def _settle(self, event: dict[str, Any]) -> None:
        trial_id = event["trial"]
        if event["event"] == "pause":
            self._state.force(trial_id, Decision.PAUSE)
        trial, _ = self._state.settle(trial_id, event.get("error"), event["s"])
        recorded = event.get("state", trial.state)
        if trial.state != recorded:
            self._note(f"trial {trial_id} {recorded}, now it would be {trial.state}")

    def _requeue(self, event: dict[str, Any]) -> None:
        self._state.requeue(event["trial"], lost=event["event"] == "lost")

    def _note(self, text: str) -> None:
        if self._result.divergence is None:
            self._result.divergence = f"the journal has {text}"
