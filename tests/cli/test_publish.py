import numpy as np
import pytest
import torch

from autodl import ImageClassification
from tests.cli import made


def test_the_report_of_a_run_is_that_of_the_fit(run_path, tmp_path):
    done = made.run("report", run_path, "--output", tmp_path / "again.html")
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{tmp_path / 'again.html'}\n"
    again, first = (tmp_path / "again.html").read_text(), (run_path.parent / "report.html").read_text()
    for part in ("Validation accuracy", "Confusion", "36", "small_resnet"):
        assert (part in again) and (part in first)
    assert len(again) == pytest.approx(len(first), rel=0.1)


def test_a_saved_model_has_no_report(model, tmp_path):
    done = made.run("report", model, "-o", tmp_path / "r.html")
    assert done.exit_code == 2
    assert "no run directory" in done.stderr
    assert not list(tmp_path.iterdir())


def test_export_predicts_the_same(model, photos, tmp_path):
    done = made.run("export", model, tmp_path / "m.pt2")
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{tmp_path / 'm.pt2'}\n"
    size = ImageClassification.load(model).predictor_.input_size
    images = torch.rand(4, 3, size, size, generator=torch.Generator().manual_seed(0))
    probs = torch.export.load(tmp_path / "m.pt2").module()(images).detach().numpy()
    np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-5)


def test_export_refuses_other_formats(model, tmp_path):
    done = made.run("export", model, tmp_path / "m.txt")
    assert done.exit_code == 2
    assert ".pt2 or .onnx" in done.stderr
