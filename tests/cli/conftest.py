"""A tiny fit made by the command itself, once."""

from __future__ import annotations

import pytest

from tests.cli import made


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    return made.write_images(tmp_path_factory.mktemp("photos") / "train", per_class=12, seed=0)


@pytest.fixture(scope="session")
def fit_result(photos, tmp_path_factory):
    """What the command printed, and the finished run's directory."""
    path = tmp_path_factory.mktemp("fitted") / "run"
    done = made.run(
        *("fit", photos, "--path", path, "--save", path.parent / "model.autodl"),
        *("--report", path.parent / "report.html", "--net", "small_resnet"),
        *("--num-trials", 1, "--epochs", 8, "--batch-size", 8, "--verbosity", 1, "--json"),
    )
    assert done.exit_code == 0, done.output
    return done, path


@pytest.fixture(scope="session")
def run_path(fit_result):
    return fit_result[1]


@pytest.fixture(scope="session")
def model(run_path):
    return run_path.parent / "model.autodl"
