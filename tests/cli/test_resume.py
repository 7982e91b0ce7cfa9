import json
import shutil

import pytest

from tests.cli import made


def test_a_finished_run_goes_on_with_more_trials(run_path, tmp_path):
    copy = shutil.copytree(run_path, tmp_path / "run")
    done = made.run("resume", copy, "--num-trials", 2, "--json", "-v", 0, "--save", tmp_path / "m.autodl")
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert summary["num_trials"] == 2
    assert summary["model"] == str(tmp_path / "m.autodl")
    assert done.stderr == ""


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_no_run_at_the_path(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = made.run("resume", name)
    assert done.exit_code == 2
    assert "--path" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_damaged_run_is_a_failure_that_says_where(tmp_path):
    (tmp_path / "run.json").write_text("{")
    done = made.run("resume", tmp_path)
    assert done.exit_code == 1
    assert "run.json is damaged" in done.stderr
