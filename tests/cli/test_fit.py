import inspect
import json

import pytest

from autodl import ImageClassification
from autodl.augment import Policy
from autodl.cli import finish as finish_module
from autodl.cli.finish import Wanted, finish
from autodl.cli.fit import fit
from autodl.cli.runs import MODEL_FILE
from tests.cli import made

import typer  # isort: skip

NOT_ON_THE_COMMAND_LINE = {"y", "executor", "training", "validation", "callbacks", "aliases"}
ONLY_ON_THE_COMMAND_LINE = {"save", "report", "as_json", "debug"}


def test_options_and_defaults_are_those_of_the_python_api():
    api = inspect.signature(ImageClassification.fit).parameters
    options = dict(inspect.signature(fit).parameters)
    options["resume"] = options.pop("go_on")
    assert set(api) - NOT_ON_THE_COMMAND_LINE == set(options) - ONLY_ON_THE_COMMAND_LINE
    for name in set(api) - NOT_ON_THE_COMMAND_LINE:
        assert options[name].default == api[name].default, name


def test_stdout_is_the_summary_as_json_and_progress_is_on_stderr(fit_result):
    done, path = fit_result
    summary = json.loads(done.stdout)
    assert summary["num_trials"] == 1
    assert summary["images"] == 36
    assert summary["validation_score"] > 0.6
    assert (summary["run"], summary["model"]) == (str(path), str(path.parent / "model.autodl"))
    assert "trial 0 completed" in done.stderr


def test_model_and_report_are_written_where_asked(fit_result):
    _, path = fit_result
    assert ImageClassification.load(path.parent / "model.autodl").classes_.tolist() == list(made.CLASSES)
    assert "<html" in (path.parent / "report.html").read_text()[:500]


@pytest.fixture
def spied(monkeypatch):
    """`ImageClassification.fit` replaced: it notes its arguments and fails."""
    calls = []

    def note(data, **arguments):
        calls.append((data, arguments))
        raise RuntimeError("spied")

    monkeypatch.setattr(ImageClassification, "fit", note)
    return calls


def test_arguments_reach_the_python_api(spied, tmp_path):
    made.run(
        *("fit", tmp_path, "--preset", "fast", "--time-limits", "10m", "--search-strategy", "bayesian"),
        *("--net", "resnet18", "--net", "small_resnet", "--weights", "none", "--class-weight", "none"),
        *("--label", "kind", "--image", "file", "--tuning-data", "val", "--path", tmp_path / "r"),
    )
    ((data, arguments),) = spied
    assert data == tmp_path
    expected = {
        "presets": "fast", "time_limit": "10m", "searcher": "bayesian", "net": ["resnet18", "small_resnet"],
        "weights": None, "class_weight": None, "label": "kind", "image": "file", "path": tmp_path / "r",
    }  # fmt: skip
    assert {name: arguments[name] for name in expected} == expected


def test_without_a_path_the_run_goes_below_runs_and_can_be_resumed(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = made.run("fit", photos, "--num-trials", 1, "--epochs", 1, "-v", 1)
    assert done.exit_code == 0, done.output
    (path,) = (tmp_path / "runs").iterdir()
    assert path.name.startswith("train-")
    assert (path / MODEL_FILE).exists()
    assert f"autodl resume runs/{path.name}" in done.stderr
    assert f"runs/{path.name}/{MODEL_FILE}" in done.stdout
    assert "held-out" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere does not exist"),
        (["{photos}", "--time-limit", "0"], "time_limit must be positive"),
        (["{photos}", "--time-limit", "soon"], "is not understood"),
        (["{photos}", "--num-trials", "0"], "num_trials must be a whole number >= 1"),
        (["{photos}", "--presets", "huge"], "unknown preset 'huge'; known: fast, medium, best"),
        (["{photos}", "--metric", "beauty"], "unknown metric 'beauty'"),
        (["{photos}", "--net", "resnet0", "--num-trials", "1"], "unknown network 'resnet0'"),
        (["{photos}/left", "--num-trials", "1"], ""),
    ],
)
def test_bad_input_exits_with_2_and_leaves_no_run(arguments, message, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = made.run("fit", *(a.format(photos=photos) for a in arguments), "-v", 0)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.startswith("autodl: error: ") and message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("runs/*"))


def test_a_path_that_holds_a_run_is_kept(photos, run_path):
    done = made.run("fit", photos, "--path", run_path)
    assert done.exit_code == 2
    assert "holds a run already" in done.stderr
    assert (run_path / "journal.jsonl").exists()


class Interrupted:
    """A classifier whose search was ended by Ctrl-C."""

    def save(self, path):
        path.write_text("model")
        return path

    def fit_summary(self):
        return {
            "metric": "accuracy", "validation_score": 0.5, "validated_on": 1, "images": 9,
            "images_skipped": 2,
            "classes": ["a", "b"], "num_trials": 1, "ensemble": [{"network": "small_resnet"}], "seconds": 3.0,
            "stopped_by": "interrupted",
        }  # fmt: skip


def test_an_interrupted_fit_keeps_its_model_and_exits_with_130(tmp_path, capsys):
    with pytest.raises(typer.Exit) as caught:
        finish(Interrupted(), Wanted(tmp_path, None, None, as_json=False))
    told = capsys.readouterr()
    assert caught.value.exit_code == 130
    assert (tmp_path / finish_module.MODEL_FILE).read_text() == "model"
    assert "9 images, 2 left out, 2 classes" in told.out
    assert f"autodl resume {tmp_path}" in told.err


def test_a_policy_is_read_from_its_file(spied, tmp_path):
    policy, file = Policy([[("Rotate", 0.5, 0.5)]]), tmp_path / "policy.json"
    file.write_text(policy.to_json())
    made.run("fit", tmp_path, "--augment", file, "--path", tmp_path / "r")
    made.run("fit", tmp_path, "--augment", "fast_aa", "--path", tmp_path / "r")
    assert [arguments["augment"] for _, arguments in spied] == [policy, "fast_aa"]


def test_an_architecture_is_searched_and_told(photos, tmp_path):
    done = made.run(
        *("fit", photos, "--net", "chain", "--nas", "random", "--num-trials", 1, "--epochs", 1),
        *("--path", tmp_path / "run", "--time-limit", "40"),
    )
    assert done.exit_code == 0, done.stderr
    assert "ConvChain() by random" in done.stdout
    report = made.run("report", tmp_path / "run", "--output", tmp_path / "report.html")
    assert report.exit_code == 0, report.stderr


@pytest.mark.parametrize("text", [None, "{}"], ids=["missing", "no policy"])
def test_a_policy_file_must_hold_a_policy(spied, tmp_path, text):
    if text is not None:
        (tmp_path / "policy.json").write_text(text)
    done = made.run("fit", tmp_path, "--augment", tmp_path / "policy.json")
    assert done.exit_code != 0 and not spied
    assert "policy" in done.stderr
