import csv
import io
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from autodl import ImageClassification
from tests.cli import made


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_a_folder_gives_the_predictions_of_the_python_api(model, photos):
    done = made.run("predict", model, photos, "--proba")
    assert done.exit_code == 0, done.output
    rows = rows_of(done.stdout)
    assert list(rows[0]) == ["image", "label", "probability", "proba_left", "proba_right", "proba_top"]
    expected = ImageClassification.load(model).predict_proba(photos)
    shown = np.array([[float(row[f"proba_{name}"]) for name in made.CLASSES] for row in rows])
    np.testing.assert_allclose(shown, expected.to_numpy(), atol=1e-5)
    assert [row["label"] for row in rows] == list(expected.idxmax(axis=1))
    assert all(float(row["probability"]) == max(shown[i]) for i, row in enumerate(rows))
    assert all(os.path.exists(row["image"]) for row in rows)


def test_files_folders_and_tables_together_in_their_order(model, photos, tmp_path):
    table = tmp_path / "table.csv"
    pd.DataFrame({"image": [str(photos / "top/1é.png")]}).to_csv(table, index=False)
    done = made.run("predict", model, photos / "right/0é.png", photos / "left", table)
    rows = rows_of(done.stdout)
    assert rows[0]["image"] == str(photos / "right/0é.png")
    assert [os.path.basename(os.path.dirname(row["image"])) for row in rows] == [
        "right",
        *["left"] * 12,
        "top",
    ]


def test_output_goes_to_the_file_and_stdout_stays_empty(model, photos, tmp_path):
    out = tmp_path / "new" / "predictions.csv"
    done = made.run("predict", model, photos / "left", "--output", out)
    assert done.exit_code == 0
    assert done.stdout == ""
    assert len(pd.read_csv(out)) == 12


def test_json(model, photos):
    done = made.run("predict", model, photos / "left/0é.png", "--json", "--proba")
    (entry,) = json.loads(done.stdout)
    assert set(entry["proba"]) == set(made.CLASSES)
    assert entry["proba"][entry["label"]] == entry["probability"]


@pytest.mark.parametrize(("flags", "code"), [([], 0), (["--strict"], 3)])
def test_bad_images_are_named_and_the_rest_is_predicted(model, photos, tmp_path, flags, code):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"")
    done = made.run("predict", model, bad, photos / "left", "--proba", *flags)
    assert done.exit_code == code
    first, *rest = rows_of(done.stdout)
    assert first["image"] == str(bad)
    assert set(first.values()) == {str(bad), ""}
    assert len(rest) == 12 and all(row["label"] for row in rest)
    assert "1 of 13 images cannot be read" in done.stderr and str(bad) in done.stderr
    assert json.loads(made.run("predict", model, bad, photos / "left", "--json").stdout)[0]["label"] is None


def test_nothing_readable_is_an_error(model, tmp_path):
    for number in range(30):
        (tmp_path / f"{number}.png").write_bytes(b"x")
    done = made.run("predict", model, tmp_path)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert "30 images, and not one can be read" in done.stderr and "and 10 more" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux")
def test_a_file_name_that_is_not_text_keeps_its_bytes(model, photos, tmp_path):
    odd = os.fsencode(tmp_path) + b"/caf\xe9.png"
    with open(odd, "wb") as file:
        file.write((photos / "left/0é.png").read_bytes())
    out = tmp_path / "p.csv"
    done = made.run("predict", model, tmp_path, "-o", out)
    assert done.exit_code == 0, done.output
    assert odd in out.read_bytes()


@pytest.mark.parametrize("path", ["nowhere", "{photos}", "{photos}/left/0é.png"])
def test_what_is_no_model_is_refused(path, photos):
    done = made.run("predict", path.format(photos=photos), photos)
    assert done.exit_code == 2
    assert done.stderr.startswith("autodl: error: ") and "Traceback" not in done.stderr


def test_a_model_that_was_tampered_with_is_refused(model, photos, tmp_path):
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "m.autodl").write_bytes(content)
    done = made.run("predict", tmp_path / "m.autodl", photos)
    assert done.exit_code == 2
    assert done.stdout == ""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_the_command_in_a_process_of_its_own(model, photos):
    """Results alone on stdout, in UTF-8 in a C locale, too."""
    done = subprocess.run(
        [sys.executable, "-m", "autodl.cli", "predict", model, photos / "left/0é.png"],
        env={**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )
    (row,) = rows_of(done.stdout.decode("utf-8"))
    assert row["image"] == str(photos / "left/0é.png")
    assert done.stderr == b""
