"""What a search gives back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from autodl.errors import TrialError
from autodl.objectives import Goals
from autodl.report.fronts import front_volume, pareto_front
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
            more to propose), ``"interrupted"`` (Ctrl-C), ``"journal"`` (it could not be written) or
            ``"workers_lost"`` (a cluster was left without workers).
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
        """The flat config with which the best trial reported its best value.

        Where a scheduler changed configs on the way (PBT) it is a part of the story only; all of it
        is ``best_trial.schedule``.

        Raises:
            TrialError: no trial reported the metric.
        """
        best = self._best()
        return dict(best.config if best.best is None else best.best.config)

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

    def load_state(self, trial_id: int) -> Any:
        """What a trial's last ``reporter.save`` kept, tensors on the CPU; loading runs no code from it.

        Raises:
            TrialError: the trial kept nothing, or its checkpoint was not among the best that are kept.
        """
        from autodl.executors.checkpoint import CHECKPOINT_NAME, load_checkpoint  # noqa: PLC0415  # torch

        file = self.checkpoint_dir(trial_id) / CHECKPOINT_NAME
        saved = load_checkpoint(file)
        if saved is None:
            raise TrialError(
                f"trial {trial_id} has no saved state ({file} is missing): its function never called "
                "reporter.save(), or the trial is not among the best ones, whose checkpoints are kept "
                "(keep_checkpoints=None keeps all)"
            )
        return saved[1]

    @overload
    def pareto_front(self, *, as_frame: Literal[False] = False) -> list[Trial]: ...
    @overload
    def pareto_front(self, *, as_frame: Literal[True]) -> DataFrame: ...
    def pareto_front(self, *, as_frame: bool = False) -> list[Trial] | DataFrame:
        """Feasible trials that no other beats in all metrics, best in the first metric first.

        A trial stands for the report in which its first metric is best.

        Args:
            as_frame: rows of the leaderboard instead of trials.
        """
        front = pareto_front(self)
        if not as_frame:
            return [self.trials[trial.trial_id] for trial in front]
        table = self.leaderboard()
        return table[table["trial_id"].isin([trial.trial_id for trial in front])].reset_index(drop=True)

    def hypervolume(self, reference: Sequence[float] | Mapping[str, float] | None = None) -> float:
        """The volume of metric values that the Pareto front beats, up to a reference; larger is better.

        Args:
            reference: a value of each metric, as bad as can be, in the metrics' own units; None:
                the worst of this run's trials, a tenth of the range worse. Runs compare only by
                the same reference.
        """
        return front_volume(self, reference)

    def leaderboard(self) -> DataFrame:
        """One row a trial, the best first; with several metrics, those on the Pareto front first."""
        from autodl.report.leaderboard import leaderboard  # noqa: PLC0415  # pandas is slow to import

        return leaderboard(self)

    def to_dataframe(self) -> DataFrame:
        """One row a report, in the order of trials and resource: each trial's learning curves."""
        from autodl.report.leaderboard import reports_table  # noqa: PLC0415  # pandas is slow to import

        return reports_table(self)

    def to_optuna(self, storage: Any = None, study_name: str | None = None) -> Any:
        """An Optuna study with this run's trials, which ``optuna-dashboard`` shows.

        Args:
            storage: where the study is kept, such as ``"sqlite:///study.db"``; None: in memory.
            study_name: None: the name of the run's directory.

        Returns:
            An `optuna.study.Study`.

        Raises:
            MissingDependencyError: Optuna is not installed.
        """
        from autodl.report.optuna_export import to_optuna  # noqa: PLC0415  # an extra

        return to_optuna(self, storage, self.path.name if study_name is None else study_name)

    @classmethod
    def load(cls, path: str | Path) -> TuneResult:
        """The result of the run in a directory; see `autodl.load_result`."""
        from autodl.saved_result import load_result  # noqa: PLC0415  # it builds this class

        return load_result(path)

    def plot(self, kind: str = "curves") -> Figure:
        """A figure of the run; `autodl.report.plots` lists the kinds.

        Raises:
            UnknownNameError: no plot has that name; the message lists them.
        """
        from autodl.report.plots import plot  # noqa: PLC0415  # matplotlib is slow to import

        return plot(kind, self)

    def __repr__(self) -> str:
        best = self.best_trial
        if self.goals is not None and len(self.goals.objectives) > 1:
            names = ", ".join(f"{o.metric} ({o.mode})" for o in self.goals.objectives)
            return (
                f"TuneResult({len(self.trials)} trials, {len(self.pareto_front())} on the Pareto front of "
                f"{names}, {self.seconds:.1f} s, stopped by {self.stopped_by}, {str(self.path)!r})"
            )
        shown = "none reported it" if best is None else f"{self.best_value:.6g} (trial {best.trial_id})"
        if best is not None and best.best is not None and best.best.violation > 0.0:
            shown += ", which misses a constraint"
        return (
            f"TuneResult({len(self.trials)} trials, best {self.metric} ({self.mode}): {shown}, "
            f"{self.seconds:.1f} s, stopped by {self.stopped_by}, {str(self.path)!r})"
        )
