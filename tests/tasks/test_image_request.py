"""What a caller's data looks like, and a request from a caller's arguments."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from autodl import ImageClassifier
from autodl.data import ClassMap, read_images
from autodl.errors import DataError, OptionError, RunExistsError
from autodl.tasks import image_request
from tests.tasks import made


def request(data=None, **params):
    asked = {"resume": False, "tuning_data": None, "columns": (None, None), "callbacks": ()}
    asked |= {name: params.pop(name) for name in list(params) if name in asked}
    params = ImageClassifier(**params).get_params(deep=False)
    return image_request.make_request(params, data, started_at=time.time(), **asked)


@pytest.fixture
def album(tmp_path):
    return made.colour_folder(tmp_path / "album.png", count=2)  # a folder with the name of an image


@pytest.mark.parametrize(
    ("make", "single", "named"),
    [
        (lambda f: f / "red/0.png", True, True),
        (lambda f: str(f / "red/0.png"), True, True),
        (lambda f: f / "missing.JPG", True, True),
        (lambda f: f, False, True),
        (lambda f: Image.new("RGB", (4, 4)), True, False),
        (lambda f: b"bytes", True, False),
        (lambda f: np.zeros((8, 8, 3)), True, False),
        (lambda f: torch.zeros(8, 8, 3), True, False),
        (lambda f: np.zeros((5, 8, 8)), False, False),
        (lambda f: np.zeros((5, 64)), False, False),
        (lambda f: np.array(["a.png", "b.png"]), False, False),
        (lambda f: [f / "red/0.png"], False, False),
        (lambda f: pd.Series(["a.png", "b.png"]), False, False),
        (lambda f: pd.DataFrame({"image": ["a.png"]}), False, True),
        (lambda f: read_images(f), False, True),
    ],
)
def test_tells_one_image_from_many_and_files_from_values(album, make, single, named):
    data = make(album)
    assert image_request.is_single_image(data) is single
    assert image_request.is_named_collection(data) is named


def test_frames_of_numbers_are_their_values():
    frame = pd.DataFrame(np.arange(8).reshape(2, 4))
    np.testing.assert_array_equal(image_request.numbers_of(frame), frame.to_numpy())
    paths = pd.DataFrame({"image": ["a.png"], "label": [1]})
    assert image_request.numbers_of(paths) is paths


def test_class_arrays_keep_types():
    assert image_request.class_array(ClassMap(("a", "bb"))).tolist() == ["a", "bb"]
    assert image_request.class_array(ClassMap((False, True))).dtype == bool
    assert image_request.class_array(ClassMap((1, "a"))).tolist() == [1, "a"]


def test_without_any_limit_the_preset_sets_one():
    assert request(presets="fast").time_limit_s == 120
    assert request(presets="fast", time_limit="5m").time_limit_s == 300
    assert request(presets="fast", num_trials=3).time_limit_s is None
    assert request(presets="fast", num_trials=3, time_limit=9).time_limit_s == 9


def test_a_temporary_run_directory_is_made_where_none_is_named():
    one, two = request(), request()
    assert one.path != two.path
    assert one.path.is_dir()
    with pytest.raises(OptionError, match="name its directory"):
        request(resume=True)


def test_a_named_run_directory_is_described(tmp_path):
    made_request = request(path=tmp_path / "deep" / "run", seed=4)
    assert made_request.path == tmp_path / "deep" / "run"
    assert '"seed": 4' in (made_request.path / "run.json").read_text()
    (made_request.path / "journal.jsonl").touch()
    with pytest.raises(RunExistsError):
        request(path=tmp_path / "deep" / "run")
    assert request(path=tmp_path / "deep" / "run", resume=True).resume


def test_bad_data_leaves_no_directory_behind(tmp_path):
    with pytest.raises(DataError):
        request(tmp_path / "missing", path=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_of_a_data_set_with_parts_train_is_learnt_from(tmp_path):
    for part in ("train", "val", "test"):
        made.colour_folder(tmp_path / "all" / part, count=len(part))
    asked = request(tmp_path / "all")
    assert (len(asked.train), len(asked.tuning)) == (10, 6)
    other = made.colour_folder(tmp_path / "other", count=1)
    assert len(request(tmp_path / "all", tuning_data=other).tuning) == 2
    made.colour_folder(tmp_path / "tests" / "test", count=2)
    made.colour_folder(tmp_path / "tests" / "val", count=2)
    with pytest.raises(DataError, match="no train part"):
        request(tmp_path / "tests")


def test_evaluation_takes_test_before_val_before_all(tmp_path):
    for number, part in enumerate(("train", "val", "test"), 1):
        made.colour_folder(tmp_path / "all" / part, count=number)
    table = read_images(tmp_path / "all")
    assert len(image_request.part_for_evaluation(table)) == 6
    no_test = read_images(made.colour_folder(tmp_path / "flat", count=4))
    assert image_request.part_for_evaluation(no_test) is no_test


def test_tuning_arrays_are_scaled_as_the_training_arrays_are():
    """Values up to 16 to learn from; the darker tuning images alone would look like [0, 1]."""
    X = np.random.default_rng(0).integers(0, 17, (8, 8, 8)).astype(float)
    asked = request((X, [0, 1] * 4), tuning_data=(np.minimum(X[:4], 1), [0, 1] * 2))
    assert asked.tuning.pixel_range == asked.train.pixel_range


def test_paths_may_be_text_or_path(tmp_path):
    assert request(path=str(tmp_path / "a")).path == Path(tmp_path / "a")
