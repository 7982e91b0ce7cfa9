"""Short trainings that tell which augmentation suits the data."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from autodl import optim
from autodl.augment import Policy
from autodl.data import read_images
from autodl.errors import TrialError
from autodl.spaces import Categorical
from autodl.tasks import augment_compare
from autodl.tasks.augment_compare import compare_augmentations
from autodl.tasks.options import ValidationOptions
from autodl.tasks.run_data import Intake, RunData, prepare
from autodl.training import get_metric
from tests.tasks import fakes, made

INVERT = Policy([[("Invert", 0.5, 0.0)]])


def polarity_data(root, *, shifted: bool) -> RunData:
    """Bright or dark discs on the other; `shifted`: held-out pictures are inverted."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:8, :8]
    shapes = [(abs(y - 3.5) < 1.6), (abs(x - 3.5) < 1.6)]
    labels = np.arange(160) % 2
    images = np.stack([np.where(shapes[label], 230, 20) for label in labels])[..., None].repeat(3, 3)
    images = np.clip(images + rng.integers(-20, 21, images.shape), 0, 255).astype(np.uint8)
    if shifted:
        images[120:] = 255 - images[120:]
    tables = [read_images((images[part], labels[part])) for part in (slice(0, 120), slice(120, None))]
    intake = Intake(8, "raise", num_threads=1, deadline=None, cross_validate=False)
    return prepare(root, *tables, intake, ValidationOptions(), 0, {"input_size": 8})


def context(root, **changes):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net = made.linear(classes=2)
    recipe = {
        "net": net,
        "optimizer": optim.SGD(lr=0.02),
        "augment": Categorical("standard", "none"),
        "flip": False,
    }
    values = {"epochs": 6, "batch_size": 16, "policy": INVERT, **changes}
    return fakes.context(root, {"network": recipe}, **values)


def compare(root, *, shifted=True, names=("standard", "fast_aa"), seconds=None, seed=1, **changes):
    data = polarity_data(root / "data", shifted=shifted)
    ours = context(root / "data", **changes)
    return compare_augmentations(names, data, ours, root / "arms", seed=seed, seconds=seconds)


def test_the_policy_that_the_held_out_images_need_wins(tmp_path):
    compared = compare(tmp_path)
    assert compared.winner == "fast_aa"
    best, other = compared.arms
    assert (best.name, other.name) == ("fast_aa", "standard")
    assert best.score > other.score + 0.2
    assert (compared.trained_on, compared.held_out, compared.epochs) == (120, 40, 6)
    assert not (tmp_path / "arms").exists()


def test_of_equal_augmentations_the_simplest_wins(tmp_path):
    compared = compare(tmp_path, shifted=False, names=("standard", "none", "crop"), epochs=8)
    assert {arm.score for arm in compared.arms} == {1.0}
    assert compared.winner == "standard"


def test_a_loss_is_made_small(tmp_path):
    compared = compare(tmp_path, metric=get_metric("log_loss"))
    assert compared.winner == "fast_aa"
    assert compared.arms[0].score == compared.arms[0].log_loss < compared.arms[1].score


def test_the_seed_fixes_everything(tmp_path):
    one, same, other = (compare(tmp_path / str(i), seed=seed) for i, seed in enumerate((1, 1, 2)))
    assert one == same
    assert [arm.log_loss for arm in one.arms] != [arm.log_loss for arm in other.arms]


def test_a_time_limit_is_kept_and_all_train_equally_long(tmp_path, monkeypatch):
    epochs = []
    train = augment_compare.train_whole_network

    def spied(ours, config, reporter):
        train(ours, config, reporter)
        epochs.append((reporter.epochs, ours.preset.max_epochs))

    monkeypatch.setattr(augment_compare, "train_whole_network", spied)
    monkeypatch.setattr(augment_compare, "TOO_FEW_EPOCHS", 1)
    compared = compare(tmp_path, seconds=6.0, epochs=None)
    (first, _), (second, most) = epochs
    assert compared.epochs == first == most >= second >= 1


def test_few_images_are_seen_often_rather_than_all_seldom(tmp_path, monkeypatch):
    monkeypatch.setattr(augment_compare, "FEWEST_IMAGES", 30)
    monkeypatch.setattr(augment_compare, "images_per_s", lambda *_: 1000.0)
    monkeypatch.setattr(augment_compare, "TOO_FEW_EPOCHS", 1)
    compared = compare(tmp_path, seconds=4.0, epochs=None)
    # 4 s for two trainings, of which the first plans for 1.7 s: 1,700 images, each 50 times.
    assert 30 <= compared.trained_on <= 34
    assert compared.held_out == 40


def test_trainings_that_hardly_begin_to_learn_decide_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(augment_compare, "TOO_FEW_EPOCHS", 10**6)
    with pytest.raises(TrialError, match="epochs of the first training only"):
        compare(tmp_path, seconds=2.0, epochs=None)
    assert compare(tmp_path, seconds=60.0, epochs=2).epochs == 2  # as the caller wants them


def test_fewer_epochs_are_affordable_for_more_trainings():
    assert augment_compare.affordable_epochs(1000.0, 30.0, 3) == pytest.approx(0.85 * 20)
    assert augment_compare.affordable_epochs(1000.0, 30.0, 2) == pytest.approx(0.85 * 30)


def test_without_time_nothing_is_decided(tmp_path):
    with pytest.raises(TrialError):
        compare(tmp_path, seconds=0.0, epochs=None, metric=get_metric(lambda y, p: float("nan")))
    assert not (tmp_path / "arms").exists()
