"""What a search gives back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autodl.errors import TrialError
from autodl.objectives import Goals
from autodl.spaces.search_space import SearchSpace
from autodl.trial import Config, Trial, TrialState

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


@dataclass(frozen=True, slots=True)
class TuneResult:
    """Trials, the best of them, and how the run ended.

    Attributes:
        trials: all trials, by number.
        metric: name of the metric.
        mode: ``"min"`` or ``"max"``.
        path: the run's directory.
        seconds: wall-clock seconds of the run, all its sessions together.
        space: the search space; None for a run without one.
        stopped_by: ``"num_trials"``, ``"time_limit"``, ``"exhausted"`` (the searcher had nothing
            more to propose), ``"interrupted"`` (Ctrl-C) or ``"journal"`` (it could not be written).
        goals: all metrics and constraints; `metric` and `mode` are those of the first.
    """

    trials: list[Trial]
    metric: str
    mode: str
    path: Path
    seconds: float
    space: SearchSpace | None
    stopped_by: str
    goals: Goals | None = None

    @property
    def best_trial(self) -> Trial | None:
        """The trial with the best value, the earliest of equals; None when none reported one.

        With several metrics the first one decides; `pareto_front` has all trials worth a look. One
        that misses a constraint is best only where no trial keeps them all: it misses them least.
        A failed trial counts only where no other reported: what came before its failure (a NaN,
        say) may be all there is.
        """
        scored = [(t, report.merit) for t in self.trials if (report := t.best) is not None]
        sound = [pair for pair in scored if pair[0].state is not TrialState.FAILED]
        winner = max(sound or scored, key=lambda pair: pair[1], default=None)
        return None if winner is None else winner[0]

    @property
    def best_config(self) -> Config:
        """The best trial's flat config.

        Raises:
            TrialError: no trial reported the metric.
        """
        return dict(self._best().config)

    @property
    def best_value(self) -> float:
        """The best trial's best value.

        Raises:
            TrialError: no trial reported the metric.
        """
        best = self._best().best
        assert best is not None and best.value is not None
        return best.value

    def _best(self) -> Trial:
        best = self.best_trial
        if best is None:
            raise TrialError(
                f"none of {len(self.trials)} trials reported {self.metric!r} before the run was stopped by "
                f"{self.stopped_by}: give it more time, or report earlier"
            )
        return best

    def checkpoint_dir(self, trial_id: int) -> Path:
        """The folder in which a trial kept its files; it exists if the trial wrote any."""
        return self.path / "trials" / str(trial_id)

    def leaderboard(self) -> DataFrame:
        """One row a trial, the best first."""
        from autodl.report.leaderboard import leaderboard  # noqa: PLC0415  # pandas is slow to import

        return leaderboard(self)

    def plot(self, kind: str = "curves") -> Figure:
        """A figure of the run; `autodl.report.plots` lists the kinds.

        Raises:
            UnknownNameError: no plot has that name; the message lists them.
        """
        from autodl.report.plots import plot  # noqa: PLC0415  # matplotlib is slow to import

        return plot(kind, self)

    def __repr__(self) -> str:
        best = self.best_trial
        shown = "none reported it" if best is None else f"{self.best_value:.6g} (trial {best.trial_id})"
        return (
            f"TuneResult({len(self.trials)} trials, best {self.metric} ({self.mode}): {shown}, "
            f"{self.seconds:.1f} s, stopped by {self.stopped_by}, {str(self.path)!r})"
        )
