"""A linear head on the features of a frozen backbone, here a small one with random weights."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from autodl.errors import TrialError
from autodl.models import build_network
from autodl.tasks import feature_store, head_recipe
from autodl.tasks.head_recipe import train_head_only
from autodl.tasks.member import Member, load_state
from autodl.tasks.options import TrainingOptions
from autodl.training import FeatureTable, extract_features
from tests.tasks import fakes

RECIPES = {"head": {"backbone": "a_zoo", "l2": 10.0, "flip": True}}


def backbone(*_args, num_classes=3, **_options):
    return build_network("small_resnet", num_classes, input_size=8, width=8, blocks=1, seed=0)


@pytest.fixture(autouse=True)
def small_backbone(monkeypatch):
    monkeypatch.setattr(head_recipe, "build_network", backbone)


def train(tmp_path, *, trial_id=0, left_s=None, recipes=RECIPES, **changes):
    """Follow the recipe on the data in `tmp_path / "data"`; the reporter and the member."""
    reporter = fakes.FakeReporter(tmp_path / "trials" / str(trial_id), trial_id, left_s=left_s)
    train_head_only(fakes.context(tmp_path / "data", recipes, **changes), {}, reporter)
    return reporter, Member.load(reporter.checkpoint_dir)


@pytest.mark.parametrize("cross_validate", [False, True])
def test_finds_the_head_of_classes_that_features_tell_apart(tmp_path, cross_validate):
    data = fakes.colour_data(tmp_path / "data", cross_validate=cross_validate)
    reporter, member = train(tmp_path)
    assert reporter.reports == [{"epoch": 1, "accuracy": 1.0, "images": 60.0}]
    rows = np.arange(60) if cross_validate else data.validation_rows()
    np.testing.assert_array_equal(member.rows, rows)
    assert (member.probs.argmax(1) == data.labels[rows]).all()
    assert (member.frozen, member.flip, member.network.name) == (True, True, "a_zoo")
    np.testing.assert_allclose(member.probs.sum(1), 1, atol=1e-5)


def test_the_weights_it_leaves_are_those_of_the_predictions(tmp_path):
    data = fakes.colour_data(tmp_path / "data")
    _, member = train(tmp_path)
    state = load_state(tmp_path / "trials/0")
    features = extract_features(backbone(), data.pixels, member.rows, ("centre", "flip")).values
    logits = torch.from_numpy(features) @ state["weight"].T + state["bias"]
    np.testing.assert_allclose(logits.mean(0).softmax(1), member.probs, atol=0.02)


@pytest.mark.parametrize("cross_validate", [False, True])
def test_no_row_is_judged_by_a_head_that_saw_it(tmp_path, cross_validate):
    """Labels by lot, as many rows as a head can learn by heart: only chance is left."""
    data = fakes.colour_data(tmp_path / "data", cross_validate=cross_validate)
    labels = np.random.default_rng(0).permutation(data.labels)
    np.savez(tmp_path / "data/rows.npz", labels=labels, folds=data.folds)
    recipes = {"head": {**RECIPES["head"], "l2": 1e-4}}
    assert train(tmp_path, recipes=recipes)[0].reports[0]["accuracy"] < 0.6


def test_the_callers_label_smoothing_and_class_weights_reach_the_head(tmp_path):
    fakes.colour_data(tmp_path / "data")
    _, plain = train(tmp_path)
    _, smooth = train(tmp_path, trial_id=1, training=TrainingOptions(label_smoothing=0.6))
    _, weighted = train(tmp_path, trial_id=2, class_weights=(100.0, 0.01, 0.01))
    assert smooth.probs.max(1).mean() < plain.probs.max(1).mean() - 0.1
    assert weighted.probs[:, 0].mean() > plain.probs[:, 0].mean() + 0.1


def test_the_mirror_image_is_left_out_where_it_is_not_wanted(tmp_path):
    fakes.colour_data(tmp_path / "data")
    _, member = train(tmp_path, recipes={"head": {**RECIPES["head"], "flip": False}})
    assert not member.flip
    assert [p.name for p in (tmp_path / "data/features").glob("*flip*")] == []


# ---------------------------------------------------------------------- when time is short


@pytest.mark.parametrize("cross_validate", [False, True])
def test_learns_from_the_part_that_was_computed_in_time(tmp_path, monkeypatch, cross_validate):
    def cut(net, pixels, rows, views, **options):
        return extract_features(net, pixels, rows, views, **{**options, "deadline": 0.0, "batch_size": 32})

    monkeypatch.setattr(feature_store, "extract_features", cut)
    data = fakes.colour_data(tmp_path / "data", cross_validate=cross_validate)
    reporter, member = train(tmp_path)
    assert 0 < len(member.rows) < 60
    assert reporter.reports[0]["images"] == 32
    assert reporter.reports[0]["accuracy"] >= 0.9
    assert set(member.rows) <= set(np.flatnonzero(data.folds >= 0))
    assert (np.diff(member.rows) > 0).all()
    assert not member.flip


@pytest.mark.parametrize(
    ("done", "words"), [(0, "leaves no time to compute features"), (1, "too few to learn")]
)
def test_too_few_features_are_a_named_error(tmp_path, monkeypatch, done, words):
    fakes.colour_data(tmp_path / "data")
    table = FeatureTable(np.zeros((1, 60, 4), np.float32), ("centre",), np.arange(60), (done,))
    monkeypatch.setattr(head_recipe.FeatureStore, "get", lambda *_: table)
    with pytest.raises(TrialError, match=rf"{words}.*longer time_limit"):
        train(tmp_path)
    assert not (tmp_path / "trials/0/member.json").exists()


@pytest.mark.parametrize(("trial_id", "planned_s"), [(0, 70), (1, 10)])
def test_the_first_trial_may_spend_more_on_features(tmp_path, monkeypatch, trial_id, planned_s):
    deadlines = []
    get = head_recipe.FeatureStore.get

    def noted(store, view, deadline):
        deadlines.append((view, deadline - time.monotonic()))
        return get(store, view, deadline)

    monkeypatch.setattr(head_recipe.FeatureStore, "get", noted)
    fakes.colour_data(tmp_path / "data")
    _, member = train(tmp_path, trial_id=trial_id, left_s=100.0, time_limit_s=100, shares=(0.1,))
    assert [view for view, _ in deadlines] == ["centre", "flip"]
    assert deadlines[0][1] == pytest.approx(planned_s, abs=3)
    assert member.flip
