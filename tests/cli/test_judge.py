import json

import pytest

from autodl import ImageClassification
from autodl.cli.runs import MODEL_FILE
from tests.cli import made


@pytest.fixture(scope="module")
def unseen(tmp_path_factory):
    return made.write_images(tmp_path_factory.mktemp("unseen") / "test", per_class=4, seed=1)


def test_evaluate_gives_the_values_of_the_python_api(model, unseen):
    flags = [word for name in ("accuracy", "log_loss", "confusion_matrix") for word in ("--metric", name)]
    values = json.loads(made.run("evaluate", model, unseen, *flags, "--json").stdout)
    expected = ImageClassification.load(model).evaluate(unseen, metrics=["accuracy", "log_loss"])
    matrix = values.pop("confusion_matrix")
    assert values == pytest.approx(expected)
    assert matrix["classes"] == list(made.CLASSES)
    counts = matrix["counts"]
    assert [sum(row) for row in counts] == [4, 4, 4]
    assert sum(counts[i][i] for i in range(3)) == round(12 * expected["accuracy"])


def test_evaluate_for_people(model, unseen):
    done = made.run("evaluate", model, unseen, "--metric", "top_5", "--metric", "confusion_matrix")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0] == "top_5  1.0000"
    assert "true \\ predicted" in done.stdout


def test_evaluate_without_metrics_takes_the_default_ones(model, unseen):
    assert set(json.loads(made.run("evaluate", model, unseen, "--json").stdout)) == {"accuracy", "f1_macro"}


@pytest.mark.parametrize("case", ["metric", "label", "unlabelled", "class"])
def test_evaluate_refuses_bad_input(case, model, unseen, tmp_path):
    made.write_images(tmp_path / "data", per_class=1, seed=2)
    (tmp_path / "data" / "left").rename(tmp_path / "data" / "below")
    (tmp_path / "t.csv").write_text(f"image,kind\n{unseen}/left/0é.png,left\n")
    arguments, message = {
        "metric": ([unseen, "--metric", "beauty"], "unknown metric"),
        "label": ([tmp_path / "t.csv", "--label", "klass"], "klass"),
        "unlabelled": ([unseen / "left" / "0é.png"], "no labels"),
        "class": ([tmp_path / "data"], "below"),
    }[case]
    done = made.run("evaluate", model, *arguments)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert message in done.stderr


def test_leaderboard_of_a_run_and_of_its_model(run_path, model):
    of_run = json.loads(made.run("leaderboard", run_path, "--json").stdout)
    of_model = json.loads(made.run("leaderboard", model, "--json").stdout)
    (trial,), (kept,) = of_run, of_model
    assert kept.pop("weight") == 1.0
    assert trial == kept
    assert trial["state"] == "completed" and trial["resource"] == 8


def test_leaderboard_for_people(run_path):
    header, row = made.run("leaderboard", run_path).stdout.splitlines()
    assert header.split()[:3] == ["trial_id", "state", "accuracy"]
    assert "error" not in header
    assert row.split()[:2] == ["0", "completed"]


def test_leaderboard_of_a_run_needs_no_model(run_path):
    assert not (run_path / MODEL_FILE).exists()
    assert made.run("leaderboard", run_path).exit_code == 0
