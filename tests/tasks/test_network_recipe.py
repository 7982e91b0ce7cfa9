"""A whole network, trained as a config says, and what is left when it is ended early."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from autodl import optim
from autodl.executors.cutoff import TrialInterrupted
from autodl.executors.protocol import Decision
from autodl.models import build_network
from autodl.tasks import network_recipe
from autodl.tasks.feature_store import FeatureStore
from autodl.tasks.member import Member, load_state
from autodl.tasks.network_choice import WholeNetwork, start_from_linear_probe
from autodl.tasks.network_recipe import train_whole_network
from autodl.tasks.options import TrainingOptions
from autodl.training import Metric, Preprocess, predict_probs
from tests.tasks import fakes

NET = {"width": 4, "blocks": 1}
SGD = optim.SGD(lr=0.1, momentum=0.9, weight_decay=0)
RECIPE = {"net": {"name": "small_resnet", **NET}, "optimizer": SGD}
METRICS = {"accuracy", "val_loss", "train_loss", "images_per_s"}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    fakes.colour_data(folder)
    return folder


@pytest.fixture
def data(cache):
    return network_recipe.RunData.open(cache)


def train(cache, reporter, *, epochs=3, parts=None, **changes):
    """Follow the recipe; the member it leaves, and its weights."""
    recipes = {"network": {**RECIPE, "augment": "none", **(parts or {})}}
    context = fakes.context(cache, recipes, epochs=epochs, batch_size=16, **changes)
    train_whole_network(context, {}, reporter)
    return Member.load(reporter.checkpoint_dir), load_state(reporter.checkpoint_dir)


def falling():
    """A metric that says each epoch is worse than the one before."""
    values = iter(np.linspace(1, 0, 50))
    return Metric("accuracy", "max", lambda y, probs: float(next(values)))


def probs_of(state, data, rows, *, tta=False):
    net = build_network("small_resnet", 3, input_size=8, **NET)
    net.load_state_dict(state)
    return predict_probs(net, data.pixels, rows, preprocess=Preprocess.of(net.preprocessing), tta=tta)


def test_learns_reports_each_epoch_and_leaves_what_it_was_judged_on(cache, data, tmp_path):
    reporter = fakes.FakeReporter(tmp_path, 4)
    member, state = train(cache, reporter, epochs=6)
    assert [r["epoch"] for r in reporter.reports] == [1, 2, 3, 4, 5, 6]
    assert all(set(r) == METRICS | {"epoch"} for r in reporter.reports)
    assert (member.trial_id, member.frozen, member.flip) == (4, False, False)
    np.testing.assert_array_equal(member.rows, data.validation_rows())
    right = (member.probs.argmax(1) == data.labels[member.rows]).mean()
    assert right == max(r["accuracy"] for r in reporter.reports) == 1
    np.testing.assert_allclose(probs_of(state, data, member.rows), member.probs, atol=1e-5)


def test_what_was_mirrored_in_training_is_judged_with_its_mirror_image(cache, data, tmp_path):
    member, state = train(cache, fakes.FakeReporter(tmp_path), epochs=2, parts={"augment": "standard"})
    assert member.flip
    np.testing.assert_allclose(probs_of(state, data, member.rows, tta=True), member.probs, atol=1e-5)
    assert not np.allclose(probs_of(state, data, member.rows), member.probs, atol=1e-5)


def test_an_end_by_the_driver_leaves_the_best_weights_behind(cache, tmp_path):
    """Ended at the second report, the first epoch being the best: as if the second had not been."""
    first, second = (fakes.FakeReporter(tmp_path / str(n), stop_at=n) for n in (1, 2))
    for reporter in (first, second):
        with pytest.raises(TrialInterrupted) as caught:
            train(cache, reporter, epochs=5, metric=falling())
        assert caught.value.decision is Decision.STOP
        assert len(reporter.reports) == reporter.stop_at
    one, two = Member.load(tmp_path / "1"), Member.load(tmp_path / "2")
    np.testing.assert_array_equal(one.probs, two.probs)
    one, two = load_state(tmp_path / "1"), load_state(tmp_path / "2")
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_goes_on_from_a_checkpoint_as_if_nothing_had_happened(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(network_recipe, "CHECKPOINT_EVERY_S", 0.0)
    whole, broken = fakes.FakeReporter(tmp_path / "whole"), fakes.FakeReporter(tmp_path / "broken", stop_at=2)
    expected, _ = train(cache, whole, epochs=4)
    with pytest.raises(TrialInterrupted):
        train(cache, broken, epochs=4)
    again, _ = train(cache, broken, epochs=4)
    assert [r["epoch"] for r in broken.reports] == [1, 2, 3, 4]
    np.testing.assert_allclose(again.probs, expected.probs, atol=1e-6)


def test_the_callers_training_options_win_over_the_configs(cache, tmp_path, monkeypatch):
    seen = []

    def noted(net, **arguments):
        seen.append(arguments)
        raise TrialInterrupted

    monkeypatch.setattr(network_recipe, "train_network", noted)
    searched = {"mixup": 0.2, "label_smoothing": 0.1, "ema_decay": 0.9}
    fixed = TrainingOptions(label_smoothing=0.0, ema_decay=0.0, patience=3, precision="fp32")
    for wishes in ({"epochs": 7, "training": fixed}, {"epochs": None, "class_weights": (1.0, 2.0, 3.0)}):
        with pytest.raises(TrialInterrupted):
            train(cache, fakes.FakeReporter(tmp_path), parts=searched, **wishes)
    options, free = (arguments["options"] for arguments in seen)
    assert (options.mixup, options.label_smoothing, options.ema_decay) == (0.2, 0.0, None)
    assert (options.epochs, options.batch_size, options.patience) == (7, 16, 3)
    assert (free.label_smoothing, free.ema_decay) == (0.1, 0.9)
    assert free.epochs == fakes.context(cache, {}).preset.epochs
    assert seen[0]["class_weight"] is None
    assert list(seen[1]["class_weight"]) == [1, 2, 3]


def test_fine_tuning_starts_with_the_head_of_features_that_are_there(tmp_path):
    data = fakes.colour_data(tmp_path)
    values = WholeNetwork(net="a_zoo", optimizer=optim.SGD().build(), weights="pretrained")
    net = build_network("small_resnet", 3, input_size=8, width=8, blocks=1, seed=0)
    context, before = fakes.context(tmp_path, {}), net.head.weight.clone()
    start_from_linear_probe(context, data, values, net)
    assert torch.equal(net.head.weight, before)  # none were computed, and none are for this alone
    FeatureStore(tmp_path, data, "a_zoo", "pretrained", net).get("centre", None)
    start_from_linear_probe(context, data, values, net)
    rows = data.validation_rows()
    probs = predict_probs(net, data.pixels, rows, preprocess=Preprocess.of(net.preprocessing))
    assert (probs.argmax(1) == data.labels[rows]).all()
