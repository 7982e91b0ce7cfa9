"""What a searcher is: two methods, no base class needed."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from autodl.objectives import Goals
from autodl.spaces.search_space import SearchSpace
from autodl.trial import Config, Report


@runtime_checkable
class Searcher(Protocol):
    """Proposes configs and learns from their reports.

    Contract: deterministic given (seed, trial_id, the reports observed so far). `suggest` is
    called once for each new trial, with ids 0, 1, 2, ...; a resumed run replays the same calls.
    """

    def suggest(self, trial_id: int) -> Config | None:
        """A config for a new trial; None: nothing to propose now.

        None while trials are running means "ask again after the next report"; None while
        nothing runs ends the run (a grid that is used up).
        """
        ...

    def observe(self, report: Report) -> None:
        """Learn from a measurement (state RUNNING) or from the end of a trial."""
        ...


@runtime_checkable
class BindableSearcher(Searcher, Protocol):
    """A searcher that wants to know the run: all of autodl's own do. Optional."""

    def bind(self, space: SearchSpace, *, seed: int) -> None:
        """Called once, before the first `suggest`.

        Args:
            space: what configs must belong to.
            seed: the run's seed; draw with ``autodl.rng.trial_rng(seed, trial_id)``.
        """
        ...


@runtime_checkable
class GoalSearcher(Searcher, Protocol):
    """A searcher that works on several metrics, or on constraints, by itself. Optional.

    All searchers are told one number as `Report.score`: the objective; or, with several metrics,
    how good the worst of them is; below all feasible ones where a constraint is missed. This one
    learns what `Report.metrics` mean as well.
    """

    def bind_objectives(self, goals: Goals) -> None:
        """Called once, before `bind`."""
        ...
