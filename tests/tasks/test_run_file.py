"""The arguments of a fit on disk."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from autodl.augment import Policy, RandAugment
from autodl.errors import JournalError, OptionError
from autodl.tasks import run_file
from autodl.tasks.options import TrainingOptions


def test_arguments_come_back_as_json_holds_them(tmp_path):
    params = {
        "time_limit": timedelta(minutes=2),
        "training": TrainingOptions(mixup=0.3),
        "weights": Path("a/b.pth"),
        "net": ["small_resnet"],
        "seed": 3,
        "path": tmp_path,
    }
    run_file.write(tmp_path, params)
    back = run_file.read(tmp_path, {})
    assert back["time_limit"] == 120
    assert TrainingOptions(**back["training"]) == TrainingOptions(mixup=0.3)
    assert (back["weights"], back["net"], back["seed"]) == (str(Path("a/b.pth")), ["small_resnet"], 3)
    assert back["path"] == str(tmp_path)


def test_what_json_cannot_hold_is_asked_for_again(tmp_path):
    net, limit = object(), float("nan")
    run_file.write(tmp_path, {"net": net, "odd": limit, "seed": 1})
    with pytest.raises(OptionError, match=r"pass them again: net=\.\.\., odd=\.\.\."):
        run_file.read(tmp_path, {})
    with pytest.raises(OptionError, match=r"again: odd=\.\.\.$"):
        run_file.read(tmp_path, {"net": net})
    assert run_file.read(tmp_path, {"net": net, "odd": 2, "seed": 5})["seed"] == 5


def test_a_run_is_there_once_its_journal_is(tmp_path):
    assert not run_file.exists(tmp_path)
    run_file.write(tmp_path, {"seed": 1})
    assert not run_file.exists(tmp_path)
    (tmp_path / "journal.jsonl").touch()
    assert run_file.exists(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"version": 1, "params": 3, "left_out": []}', "null"])
def test_a_damaged_file_is_named(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(JournalError, match=r"run\.json is damaged"):
        run_file.read(tmp_path, {})


def test_a_newer_version_is_named(tmp_path):
    run_file.write(tmp_path, {"seed": 1})
    document = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps({**document, "version": 99}))
    with pytest.raises(JournalError, match="version 99"):
        run_file.read(tmp_path, {})


def test_the_rest_of_the_time_is_what_the_clock_of_the_run_left(tmp_path):
    assert run_file.rest_of(tmp_path, 100) == 100
    (tmp_path / "journal.jsonl").write_text('{"event":"run","s":0}\n{"event":"start","s":30.5}\n{"ev')
    assert run_file.elapsed_s(tmp_path) == 30.5
    assert run_file.rest_of(tmp_path, 100) == 69.5
    assert run_file.rest_of(tmp_path, 20) == run_file.LEAST_REST_S


def test_a_policy_comes_back_as_a_policy(tmp_path):
    policies = {"augment": Policy([[("Rotate", 0.5, 0.5)], []], weights=[1, 2]), "other": RandAugment(n=1)}
    run_file.write(tmp_path, policies)
    back = run_file.read(tmp_path, {})
    assert {name: back[name] for name in policies} == policies
    text = (tmp_path / run_file.FILE).read_text().replace("Rotate", "Fold")
    (tmp_path / run_file.FILE).write_text(text)
    with pytest.raises(JournalError, match="Fold"):
        run_file.read(tmp_path, {})
