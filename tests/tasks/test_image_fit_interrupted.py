"""Fits that are killed, interrupted and resumed, in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from autodl import ImageClassification, ImageClassifier
from autodl.errors import AllTrialsFailedError, DataError, JournalError, OptionError
from autodl.journal import read_journal
from tests.tasks import made

SCRIPT = """
import sys
import torch
torch.set_num_threads(1)
from sklearn.datasets import load_digits
from autodl import ImageClassification

X, y = load_digits(return_X_y=True)

class Slow:  # gives the killer time between trials
    def on_trial_end(self, trial):
        import time
        print("ended", trial.trial_id, flush=True)
        time.sleep(0.3)

classifier = ImageClassification.fit(
    X[:120], y[:120], presets="fast", num_trials=4, epochs=1, seed=3, path=sys.argv[1],
    training={"precision": "fp32"}, callbacks=[Slow()], verbosity=0,
)
classifier.save(sys.argv[1] + ".model")
print(classifier.fit_summary()["stopped_by"], len(classifier.leaderboard()), flush=True)
"""
"""A fit of four trials; the name of its run's directory is its argument."""


def start(path: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def wait_for(process: subprocess.Popen[str], line: str) -> None:
    for found in process.stdout:
        if found.strip() == line:
            return
    raise AssertionError(process.stderr.read())


def ended_trials(path: Path) -> list[int]:
    return [e["trial"] for e in read_journal(path / "journal.jsonl") if e["event"] == "end"]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run that was killed after its first trial ended."""
    path = tmp_path_factory.mktemp("killed") / "run"
    with start(path) as process:
        try:
            wait_for(process, "ended 0")
        finally:
            process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    return path


def test_a_killed_fit_resumes_where_it_was(killed):
    events = read_journal(killed / "journal.jsonl")
    first = next(e for e in events if e["event"] == "end")
    weights = (killed / "trials/0/member.safetensors").read_bytes()
    classifier = ImageClassification.resume(killed, verbosity=0)
    assert isinstance(classifier, ImageClassifier)
    board = classifier.leaderboard().set_index("trial_id")
    assert sorted(board.index) == [0, 1, 2, 3]
    assert set(board["state"]) == {"completed"}
    ended = ended_trials(killed)
    assert sorted(ended) == [0, 1, 2, 3]
    assert len(set(ended)) == len(ended)
    assert read_journal(killed / "journal.jsonl")[: len(events)] == events
    assert first in events
    assert (killed / "trials/0/member.safetensors").read_bytes() == weights
    assert classifier.predict(np.zeros((1, 8, 8))).shape == (1,)
    assert classifier.num_trials == 4 and classifier.seed == 3
    classifier.report(killed.parent / "report.html")

    again = ImageClassification.resume(killed, verbosity=0)  # a finished run: nothing is left to train
    assert ended_trials(killed) == ended
    np.testing.assert_array_equal(
        again.predict_proba(np.eye(64)[:3]), classifier.predict_proba(np.eye(64)[:3])
    )


def test_ctrl_c_gives_the_best_so_far(tmp_path):
    with start(tmp_path / "run") as process:
        wait_for(process, "ended 0")
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    stopped_by, rows = out.split()[-2:]
    assert stopped_by == "interrupted"
    assert 1 <= int(rows) < 4
    loaded = ImageClassifier.load(tmp_path / "run.model")
    assert loaded.predict(np.zeros((1, 8, 8))).shape == (1,)


# ---------------------------------------------------------------------- in this process


class CtrlC:
    """Presses Ctrl-C when an event comes for the n-th time."""

    def __init__(self, hook: str, at: int) -> None:
        self.left = at

        def press(*_: object) -> None:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.01)

        setattr(self, hook, press)


def test_interrupted_and_resumed_equals_uninterrupted(digits, tmp_path):
    options = {"num_trials": 4, "seed": 2, "training": {"precision": "fp32"}, "net": made.linear()}
    whole = made.quick(path=tmp_path / "whole", **options).fit(*digits.train)
    part = made.quick(path=tmp_path / "part", **options)
    part.fit(*digits.train, callbacks=[CtrlC("on_trial_end", 2)])
    assert part.fit_summary()["stopped_by"] == "interrupted"
    assert len(part.leaderboard()) == 2
    resumed = ImageClassification.resume(tmp_path / "part", net=options["net"])
    columns = ["trial_id", "accuracy", "weight", "optimizer/lr", "label_smoothing", "state"]
    assert resumed.leaderboard()[columns].equals(whole.leaderboard()[columns])
    np.testing.assert_allclose(
        resumed.predict_proba(digits.X[:9]), whole.predict_proba(digits.X[:9]), atol=1e-6
    )


def test_ctrl_c_in_the_middle_of_a_trial_keeps_it_as_far_as_it_came(digits):
    classifier = made.quick(epochs=30, num_trials=3)
    classifier.fit(*digits.train, callbacks=[CtrlC("on_report", 4)])
    summary = classifier.fit_summary()
    assert summary["stopped_by"] == "interrupted"
    assert len(classifier.leaderboard()) == 1
    assert classifier.predict(digits.X[:3]).shape == (3,)


def test_ctrl_c_before_anything_is_learnt_says_so(digits):
    with pytest.raises((AllTrialsFailedError, KeyboardInterrupt)):
        made.quick(num_trials=3).fit(*digits.train, callbacks=[CtrlC("on_run_start", 1)])


def test_resume_without_a_run(tmp_path):
    with pytest.raises(JournalError, match="no run to resume"):
        ImageClassification.resume(tmp_path / "nothing")
    with pytest.raises(JournalError, match="no run to resume"):
        ImageClassification.resume(tmp_path)


def test_resume_of_a_run_whose_images_were_never_read_takes_the_data_again(digits, tmp_path):
    path = tmp_path / "run"

    class Killed(BaseException):
        pass

    def die(*_args, **_kwargs):
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("autodl.tasks.image_fit.prepare", die)
        with pytest.raises(Killed):
            made.quick(path=path).fit(*digits.train)
    with pytest.raises(DataError, match=r"resume=True"):
        ImageClassification.resume(path, net=made.linear())
    assert made.quick(path=path).fit(*digits.train, resume=True).predict(digits.X[:2]).shape == (2,)


def test_resume_wants_the_parts_that_a_file_cannot_hold(digits, tmp_path):
    path, net = tmp_path / "run", made.linear()
    made.quick(path=path, net=net).fit(*digits.train)
    with pytest.raises(OptionError, match=r"pass them again: net=\.\.\."):
        ImageClassification.resume(path)
    resumed = ImageClassification.resume(path, net=net, num_trials=2)
    assert len(resumed.leaderboard()) == 2
    with pytest.raises(OptionError):
        ImageClassification.resume(path, net=net, nonsense=3)


def test_resume_refuses_another_search_in_the_same_place(digits, tmp_path):
    path, net = tmp_path / "run", made.linear()
    made.quick(path=path, net=net).fit(*digits.train)
    with pytest.raises(JournalError):
        ImageClassification.resume(path, net=net, seed=9)
    with pytest.raises(JournalError):
        ImageClassification.resume(path, net=net, metric="log_loss")


def test_damaged_files_of_a_run_are_named_errors(digits, tmp_path):
    path, net = tmp_path / "run", made.linear()
    made.quick(path=path, net=net).fit(*digits.train)
    for name in ("run.json", "data/data.json", "data/rows.npz", "data/pixels.npy"):
        content = (path / name).read_bytes()
        for damaged in (content[: len(content) // 2], b"", b"[]", b"{}"):
            (path / name).write_bytes(damaged)
            with pytest.raises((JournalError, DataError)):
                ImageClassification.resume(path, net=net)
        (path / name).write_bytes(content)
    assert len(ImageClassification.resume(path, net=net).leaderboard()) == 1


def test_resume_twice_keeps_what_was_left_of_the_time(digits, tmp_path):
    """The time of earlier sessions is taken off the first limit once, not each time again."""
    path, net = tmp_path / "run", made.linear()
    made.quick(path=path, net=net, time_limit=1000).fit(*digits.train)
    for _ in range(2):
        classifier = ImageClassification.resume(path, net=net)
        assert 980 < float(classifier.time_limit) < 1000
    events = read_journal(path / "journal.jsonl")
    longer = [{**e, "s": e["s"] + 700} if "s" in e else e for e in events]
    (path / "journal.jsonl").write_text("".join(json.dumps(e) + "\n" for e in longer))
    for _ in range(2):
        classifier = ImageClassification.resume(path, net=net)
        assert 280 < float(classifier.time_limit) < 300
    assert ImageClassification.resume(path, net=net, time_limit="2m").time_limit == "2m"
