import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from autodl import ImageClassification
from autodl.cli import runs
from autodl.errors import AllTrialsFailedError, JournalError
from autodl.trial import TrialState

HEADER = {"event": "run", "version": 1, "metric": "loss", "mode": "min", "seed": 0, "space": None}
EVENTS = [
    {"event": "start", "trial": 0, "config": {"lr": 0.1}, "to": None, "s": 0.5},
    {"event": "start", "trial": 1, "config": {"lr": 0.2}, "to": None, "s": 0.6},
    {"event": "report", "trial": 0, "resource": 1, "metrics": {"loss": 2.0}, "worker": "w0", "s": 1.0},
    {"event": "report", "trial": 0, "resource": 2, "metrics": {"loss": 1.0}, "worker": "w0", "s": 2.0},
    {"event": "report", "trial": 1, "resource": 1, "metrics": {"loss": "nan"}, "worker": "w1", "s": 2.1},
    {"event": "end", "trial": 1, "state": "failed", "error": "metric is NaN", "s": 2.2},
    {"event": "end", "trial": 0, "state": "completed", "s": 2.5},
    {"event": "start", "trial": 2, "config": {"lr": 0.3}, "to": None, "s": 2.6},
    {"event": "cut", "trial": 2, "s": 3.0},
    {"event": "done", "stopped_by": "time_limit", "s": 3.1},
]  # fmt: skip


def write(path, events):
    (path / runs.JOURNAL).write_text("".join(json.dumps(event) + "\n" for event in [HEADER, *events]))
    return path


def test_a_journal_is_read_back(tmp_path):
    result = runs.read_result(write(tmp_path, EVENTS))
    assert [t.state for t in result.trials] == [TrialState.COMPLETED, TrialState.FAILED, TrialState.STOPPED]
    assert (result.best_value, result.best_config) == (1.0, {"lr": 0.1})
    assert result.trials[1].error == "metric is NaN" and result.trials[1].best is None
    assert (result.trials[0].started_s, result.trials[0].ended_s, result.trials[0].worker) == (0.5, 2.5, "w0")
    assert (result.stopped_by, result.seconds, result.metric, result.mode) == (
        "time_limit",
        3.1,
        "loss",
        "min",
    )


def test_a_run_that_goes_on_again(tmp_path):
    events = [*EVENTS, {"event": "requeue", "trial": 2, "s": 3.2}, {"event": "from the future", "s": 3.3}]
    result = runs.read_result(write(tmp_path, events))
    assert result.trials[2].state is TrialState.RUNNING
    assert (result.trials[2].attempt, result.trials[2].ended_s) == (2, None)
    assert result.stopped_by == "interrupted"


def test_a_run_is_read_as_the_fit_returned_it(run_path):
    found = runs.open_run(run_path)
    told = json.loads((run_path / "journal.jsonl").read_text().splitlines()[-1])
    assert (told["event"], found.result_.stopped_by) == ("done", "num_trials")
    saved = ImageClassification.load(run_path.parent / "model.autodl")
    assert found.validation_score_ == saved.validation_score_
    assert found.leaderboard().equals(saved.leaderboard())


def test_a_killed_run_predicts_with_what_it_left(run_path, photos, tmp_path, capsys):
    copy = shutil.copytree(run_path, tmp_path / "run")
    lines = (copy / "journal.jsonl").read_text().splitlines(keepends=True)
    (copy / "journal.jsonl").write_text("".join(lines[:-1]))
    (copy / runs.MODEL_FILE).write_text("the model of an earlier end")
    found = runs.load_model(copy)
    assert "has not come to its end" in capsys.readouterr().err
    saved = ImageClassification.load(run_path.parent / "model.autodl")
    np.testing.assert_allclose(found.predict_proba(photos), saved.predict_proba(photos), atol=1e-5)


def test_a_finished_run_uses_its_model(run_path, model, tmp_path, capsys):
    copy = shutil.copytree(run_path, tmp_path / "run")
    shutil.copy(model, copy / runs.MODEL_FILE)
    shutil.rmtree(copy / "trials")
    assert runs.load_model(copy).classes_.tolist() == ["left", "right", "top"]
    assert capsys.readouterr().err == ""


def test_a_run_without_a_trial_says_so(run_path, tmp_path):
    shutil.copy(run_path / runs.RUN_FILE, tmp_path)
    with pytest.raises(JournalError, match="has not come to its first trial"):
        runs.load_model(tmp_path)
    write(tmp_path, EVENTS[:1])
    shutil.copytree(run_path / "data", tmp_path / "data")
    with pytest.raises(AllTrialsFailedError, match="no trial"):
        runs.load_model(tmp_path)


def test_new_run_paths_are_named_after_the_data_and_never_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(runs.time, "strftime", lambda form: "20250102-030405")
    first = runs.new_run_path(Path("/data/my photos!.zip"), tmp_path)
    assert first == tmp_path / "my-photos-20250102-030405"
    first.mkdir()
    assert runs.new_run_path(Path("/data/my photos!.zip"), tmp_path) == tmp_path / f"{first.name}-2"
    monkeypatch.chdir(tmp_path)
    assert runs.new_run_path(Path("."), tmp_path).name.startswith(tmp_path.name[:5])
    assert runs.new_run_path(Path("/"), tmp_path).name == "run-20250102-030405"
