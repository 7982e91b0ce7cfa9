"""A run in TensorBoard: learning curves, and a table of hyper-parameters and final metrics."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autodl.errors import MissingDependencyError
from autodl.report.view import ResultView, TrialView, goals_of
from autodl.trial import Report


class TensorBoardCallback:
    """Writes a run for TensorBoard, each trial as one of its runs: ``tune(..., callbacks=[...])``.

    A scalar's step is the resource (epoch) it was reported at, also for a trial that pauses and
    goes on, or that starts again on another worker: what it repeats is not written twice. When a
    trial ends its config and the metrics of its best report go to the HPARAMS tab.

    Args:
        log_dir: a folder for ``tensorboard --logdir``; each trial writes in a folder of its own below.

    Raises:
        MissingDependencyError: TensorBoard is not installed.
    """

    def __init__(self, log_dir: str | Path) -> None:
        _summary_writer()
        self.log_dir = Path(log_dir).expanduser()
        self._writers: dict[int, Any] = {}
        self._metrics: tuple[str, ...] = ()

    def on_run_start(self, run: ResultView) -> None:
        """Learn which metrics count."""
        self._metrics = goals_of(run).metrics

    def on_report(self, trial: TrialView, report: Report) -> None:
        """Write the metrics of a report."""
        writer = self._writer(trial.trial_id)
        for name, value in report.metrics.items():
            writer.add_scalar(name, value, report.resource)

    def on_trial_end(self, trial: TrialView) -> None:
        """Write config and final metrics, and close the trial's file."""
        writer = self._writer(trial.trial_id)
        best = trial.best
        found = {} if best is None else {n: best.metrics[n] for n in self._metrics if n in best.metrics}
        for summary in _hyperparameters(trial.config, found):
            writer.file_writer.add_summary(summary)
        for name, value in found.items():
            writer.add_scalar(f"best/{name}", value, trial.resource)
        writer.close()
        del self._writers[trial.trial_id]

    def on_run_end(self, run: ResultView) -> None:
        """Close what is open: the files of trials that are paused."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _writer(self, trial_id: int) -> Any:
        if trial_id not in self._writers:
            folder = self.log_dir / f"trial-{trial_id:04d}"
            self._writers[trial_id] = _summary_writer()(log_dir=str(folder))
        return self._writers[trial_id]

    def __repr__(self) -> str:
        return f"TensorBoardCallback({str(self.log_dir)!r})"


def _summary_writer() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise MissingDependencyError(
            "TensorBoard is not installed: pip install 'autodl[tensorboard]'"
        ) from error
    return SummaryWriter


def _hyperparameters(config: Mapping[str, Any], metrics: Mapping[str, float]) -> tuple[Any, ...]:
    """The three summaries of the HPARAMS tab: the experiment, the start and the end of a session."""
    from torch.utils.tensorboard.summary import hparams  # noqa: PLC0415  # an extra

    plain = {label: "None" if value is None else value for label, value in config.items()}
    make: Any = hparams  # has no types
    summaries: tuple[Any, ...] = make(plain, {f"best/{name}": value for name, value in metrics.items()})
    return summaries
