"""A run in MLflow: a parent run for the search, a nested one for each trial."""

from __future__ import annotations

from typing import Any

from autodl.errors import MissingDependencyError
from autodl.report.view import RunView, TrialView
from autodl.report.wording import error_summary
from autodl.trial import Report, TrialState

_LONGEST = 500  # characters of a parameter or tag; more is refused by some of MLflow's stores
_STATUS = {TrialState.FAILED: "FAILED", TrialState.STOPPED: "KILLED"}


class MLflowCallback:
    """Writes a run to MLflow: ``tune(..., callbacks=[MLflowCallback()])``.

    The search is a run, and each trial a run nested in it, with its config as parameters and its
    metrics by step; a metric's step is the resource (epoch) it was reported at. Trials that a
    scheduler stopped have the status KILLED. No global state of MLflow is touched, so a script
    may log runs of its own beside it.

    Args:
        tracking_uri: where to write: ``"sqlite:///mlflow.db"``, a server; None: what
            ``mlflow.set_tracking_uri`` or the environment says.
        experiment: its name; made if there is none.

    Raises:
        MissingDependencyError: MLflow is not installed.
    """

    def __init__(self, tracking_uri: str | None = None, experiment: str = "autodl") -> None:
        try:
            from mlflow.tracking import MlflowClient  # noqa: PLC0415  # an extra
        except ImportError as error:
            raise MissingDependencyError("MLflow is not installed: pip install 'autodl[mlflow]'") from error
        self.tracking_uri, self.experiment = tracking_uri, experiment
        self._client: Any = MlflowClient(tracking_uri)
        self._experiment_id = ""
        self._parent_id = ""
        self._runs: dict[int, str] = {}

    def on_run_start(self, run: RunView) -> None:
        """Start the parent run."""
        found = self._client.get_experiment_by_name(self.experiment)
        made = self._client.create_experiment if found is None else None
        self._experiment_id = found.experiment_id if made is None else made(self.experiment)
        tags = {"mlflow.runName": run.path.name, "autodl.path": str(run.path)}
        self._parent_id = self._client.create_run(self._experiment_id, tags=tags).info.run_id
        self._client.log_param(self._parent_id, "metric", run.metric)
        self._client.log_param(self._parent_id, "mode", run.mode)

    def on_report(self, trial: TrialView, report: Report) -> None:
        """Log the metrics of a report."""
        run_id = self._run_of(trial)
        for name, value in report.metrics.items():
            self._client.log_metric(run_id, _key(name), value, step=report.resource)

    def on_trial_start(self, trial: TrialView) -> None:
        """Make the trial's run; one that goes on has it already."""
        self._run_of(trial)

    def on_trial_end(self, trial: TrialView) -> None:
        """Set the status of the trial's run."""
        run_id = self._run_of(trial)
        self._client.set_tag(run_id, "autodl.state", str(trial.state))
        if trial.error:
            self._client.set_tag(run_id, "autodl.error", error_summary(trial.error)[:_LONGEST])
        self._client.set_terminated(run_id, status=_STATUS.get(trial.state, "FINISHED"))

    def on_run_end(self, run: RunView) -> None:
        """Log the best value, and end the runs of trials that are paused."""
        for trial in run.trials:
            if trial.state is TrialState.PAUSED:
                self._client.set_tag(self._run_of(trial), "autodl.state", str(trial.state))
                self._client.set_terminated(self._run_of(trial), status="KILLED")
        reports = [t.best for t in run.trials if t.best is not None and t.state is not TrialState.FAILED]
        best = max(reports, key=lambda report: report.merit, default=None)
        if best is not None and best.value is not None:
            self._client.log_metric(self._parent_id, _key(f"best_{run.metric}"), best.value)
            self._client.set_tag(self._parent_id, "autodl.best_trial", str(best.trial_id))
        self._client.set_terminated(self._parent_id, status="FINISHED")

    def _run_of(self, trial: TrialView) -> str:
        if trial.trial_id not in self._runs:
            tags = {"mlflow.parentRunId": self._parent_id, "mlflow.runName": f"trial {trial.trial_id}"}
            run_id = self._client.create_run(self._experiment_id, tags=tags).info.run_id
            self._runs[trial.trial_id] = run_id
            for label, value in trial.config.items():
                self._client.log_param(run_id, _key(label), str(value)[:_LONGEST])
        return self._runs[trial.trial_id]

    def __repr__(self) -> str:
        return f"MLflowCallback({self.tracking_uri!r}, experiment={self.experiment!r})"


def _key(name: str) -> str:
    """A name MLflow takes: letters, digits, and ``_-. :/``; other characters become ``_``."""
    return "".join(c if c.isalnum() or c in "_-. :/" else "_" for c in name).strip("/ .") or "_"
