"""What TensorBoard and MLflow read back of a run whose trials pause and go on."""

from __future__ import annotations

import sys

import pytest

from autodl.errors import MissingDependencyError
from autodl.report.mlflow_log import MLflowCallback
from autodl.report.tensorboard_log import TensorBoardCallback
from autodl.schedulers.protocol import Continue, Pause, Resume, Start, TrialReported, WorkerFree
from autodl.spaces import Categorical, Real
from autodl.tuner import tune

# MLflow's own use of the database library, which its newest version frowns on.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

SPACE = {"x": Real(0.0, 1.0), "net": Categorical("a", None)}


class PauseOnce:
    """Each trial pauses after its second epoch and goes on when all have started."""

    def __init__(self, count: int) -> None:
        self.left, self.paused = count, []

    def handle(self, event):
        if isinstance(event, WorkerFree):
            if self.left:
                self.left -= 1
                return [Start()]
            return [Resume(self.paused.pop(0), None)] if self.paused else []
        if isinstance(event, TrialReported):
            if event.resource == 2:
                self.paused.append(event.trial_id)
                return [Pause(event.trial_id)]
            return [Continue(event.trial_id)]
        return []


def train(args, reporter) -> None:
    """Saves nothing: after a pause it repeats its first epochs."""
    if args.x > 0.5:
        raise ValueError("diverged")
    for epoch in (1, 2, 3):
        reporter(epoch=epoch, accuracy=args.x * epoch, seconds_spent=float(epoch))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A result, and the folder of both logs."""
    folder = tmp_path_factory.mktemp("logs")
    pytest.importorskip("tensorboard")
    pytest.importorskip("mlflow")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    callbacks = [TensorBoardCallback(folder / "tb"), MLflowCallback(uri, "digits")]
    result = tune(train, SPACE, metric="accuracy", num_trials=4, scheduler=PauseOnce(4), callbacks=callbacks)
    assert {str(t.state) for t in result.trials} == {"completed", "failed"}
    assert any(t.attempt == 2 for t in result.trials)
    return result, folder, uri


def test_tensorboard_has_each_step_once(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result, folder, _ = run
    for trial in result.trials:
        log = EventAccumulator(str(folder / "tb" / f"trial-{trial.trial_id:04d}"))
        log.Reload()
        if trial.state == "failed":
            assert log.Tags()["scalars"] == []
            continue
        read = [(event.step, event.value) for event in log.Scalars("accuracy")]
        assert read == [(r.resource, pytest.approx(r.value)) for r in trial.reports]
        assert [step for step, _ in read] == [1, 2, 3]
        assert [event.step for event in log.Scalars("seconds_spent")] == [1, 2, 3]
        assert log.Scalars("best/accuracy")[0].value == pytest.approx(trial.best.value)


def test_tensorboard_lists_hyperparameters(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import plugin_data_pb2

    result, folder, _ = run
    log = EventAccumulator(str(folder / "tb" / "trial-0000"))
    log.Reload()
    content = log.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    read = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
    assert read["x"].number_value == result.trials[0].config["x"]
    assert read["net"].string_value == str(result.trials[0].config["net"])


def test_mlflow_has_nested_runs_with_each_step_once(run):
    from mlflow.tracking import MlflowClient

    result, _, uri = run
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("digits")
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [r for r in runs if "mlflow.parentRunId" not in r.data.tags]
    assert parent.data.metrics["best_accuracy"] == result.best_value
    assert parent.data.tags["autodl.best_trial"] == str(result.best_trial.trial_id)
    assert parent.info.status == "FINISHED"
    children = {r.data.tags["mlflow.runName"]: r for r in runs if r is not parent}
    assert len(children) == 4
    for trial in result.trials:
        child = children[f"trial {trial.trial_id}"]
        assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert child.data.params == {label: str(value) for label, value in trial.config.items()}
        assert child.info.status == ("FAILED" if trial.state == "failed" else "FINISHED")
        history = client.get_metric_history(child.info.run_id, "accuracy")
        assert [(m.step, m.value) for m in history] == [(r.resource, r.value) for r in trial.reports]


@pytest.mark.parametrize(
    ("module", "make", "extra"),
    [
        ("torch.utils.tensorboard", lambda: TensorBoardCallback("x"), "tensorboard"),
        ("mlflow.tracking", MLflowCallback, "mlflow"),
    ],
)
def test_a_missing_library_names_its_extra(monkeypatch, module, make, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=rf"autodl\[{extra}\]"):
        make()
