from __future__ import annotations

import math
import time

import numpy as np
import pytest
import torch
from torch import nn

from autodl.errors import TrialError
from autodl.training.augmentation import PadCropFlip
from autodl.training.device import PrecisionPlan
from autodl.training.loop import train_network
from autodl.training.options import TrainOptions
from autodl.training.preprocess import Preprocess

ALL_TRICKS = TrainOptions(
    epochs=4, label_smoothing=0.1, mixup=0.2, cutmix=0.5, ema_decay=0.9, clip_norm=1.0, warmup_fraction=0.2
)


class Store:
    """A checkpoint in a file, as a tuner's reporter keeps it."""

    def __init__(self, path):
        self.path, self.saves = path, 0

    def save(self, state):
        self.saves += 1
        torch.save(state, self.path)

    def load(self):
        return torch.load(self.path, weights_only=True) if self.path.exists() else None


class Killed(BaseException):
    pass


def same(a, b):
    assert a.keys() == b.keys()
    return all(torch.equal(a[key], b[key]) for key in a)


def outcome(result):
    return [(r.epoch, r.train_loss, r.value, r.val_loss, r.lr, r.improved) for r in result.history]


def test_it_learns_and_the_network_holds_the_best_weights(toy, make_net):
    net = make_net()
    result = toy.train(net, options=TrainOptions(epochs=8))
    assert result.best_value >= 0.95
    assert result.stopped_by == "epochs" and len(result.history) == 8
    assert (
        result.best_value
        == max(r.value for r in result.history)
        == result.history[result.best_epoch - 1].value
    )
    assert same(net.state_dict(), result.best_state)
    assert result.val_probs.shape == (48, 3)
    assert (result.val_probs.argmax(1) == toy.labels[96:]).mean() == result.best_value
    assert result.history[0].train_loss > result.history[-1].train_loss


def test_all_tricks_together_learn_too(toy, make_net):
    result = toy.train(make_net(), options=ALL_TRICKS, augmentation=PadCropFlip(1, flip=False, cutout=2))
    assert result.best_value >= 0.8


def test_the_same_seed_is_the_same_training(toy, make_net):
    first, again, other = (
        toy.train(make_net(dropout=0.3), options=ALL_TRICKS, augmentation=PadCropFlip(1), seed=seed)
        for seed in (1, 1, 2)
    )
    assert outcome(first) == outcome(again) != outcome(other)
    assert same(first.best_state, again.best_state)


def test_training_leaves_the_global_generator_alone(toy, make_net):
    before = torch.random.get_rng_state()
    toy.train(make_net(dropout=0.3), options=TrainOptions(epochs=1))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("optimizer", [torch.optim.AdamW, torch.optim.SGD])
def test_killed_and_resumed_is_the_same_training_bit_for_bit(toy, make_net, tmp_path, optimizer):
    def run(net, **more):
        options = {"lr": 0.02, **({"momentum": 0.9} if optimizer is torch.optim.SGD else {})}
        return toy.train(
            net,
            options=ALL_TRICKS,
            augmentation=PadCropFlip(1, cutout=2),
            optimizer_factory=lambda p: optimizer(p, **options),
            **more,
        )

    def kill(result):
        if result.epoch == 2:
            raise Killed

    whole = run(make_net(dropout=0.3))
    store = Store(tmp_path / "state.pt")
    with pytest.raises(Killed):
        run(make_net(dropout=0.3), checkpoint=store, on_epoch=kill)
    seen = []
    resumed = run(make_net(seed=5, dropout=0.3), checkpoint=store, on_epoch=lambda r: seen.append(r.epoch))
    assert seen == [3, 4]
    assert outcome(resumed) == outcome(whole)
    assert same(resumed.best_state, whole.best_state)
    assert (resumed.val_probs == whole.val_probs).all()


def test_a_finished_checkpoint_gives_its_result_at_once(toy, make_net, tmp_path):
    store = Store(tmp_path / "state.pt")
    options = TrainOptions(epochs=2)
    first = toy.train(make_net(), options=options, checkpoint=store)
    again = toy.train(make_net(), options=options, checkpoint=store)
    assert store.saves == 2
    assert same(first.best_state, again.best_state)


def test_a_checkpoint_of_another_version_is_refused(toy, make_net, tmp_path):
    store = Store(tmp_path / "state.pt")
    store.save({"version": 99})
    with pytest.raises(TrialError, match="version 99"):
        toy.train(make_net(), checkpoint=store)


def test_the_callback_can_end_it(toy, make_net):
    result = toy.train(make_net(), on_epoch=lambda r: r.epoch < 3)
    assert result.stopped_by == "callback" and len(result.history) == 3


def test_patience(toy, make_net):
    options = TrainOptions(epochs=50, patience=2)
    result = toy.train(make_net(), lr=1e-12, options=options, metric=lambda y, p: 0.5 - p[0, 0] * 0)
    assert result.stopped_by == "patience"
    assert len(result.history) == result.best_epoch + 2


def test_the_metric_decides_what_is_best(toy, make_net):
    result = toy.train(make_net(), options=TrainOptions(epochs=4), metric="log_loss")
    assert result.best_value == min(r.val_loss for r in result.history)


@pytest.mark.parametrize("limit_s", [0.2, 0.6])
def test_the_deadline_is_kept_and_leaves_a_trained_network(toy, make_net, limit_s):
    started = time.monotonic()
    result = toy.train(make_net(), options=TrainOptions(epochs=100_000), deadline=started + limit_s)
    assert time.monotonic() - started < limit_s + 0.25
    assert result.stopped_by == "deadline"
    assert result.best_value > 0.6
    assert result.history[-1].lr < 0.5 * max(r.lr for r in result.history) or len(result.history) < 3


def test_a_slow_network_stops_in_the_middle_of_an_epoch(toy, make_net):
    class Slow(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = make_net()

        def forward(self, x):
            time.sleep(0.03)
            return self.net(x)

    started = time.monotonic()
    result = toy.train(Slow(), size=4, options=TrainOptions(epochs=3), deadline=started + 0.6)
    assert time.monotonic() - started < 0.8
    assert result.stopped_by == "deadline" and len(result.history) == 1


def test_no_time_at_all_is_an_error_not_a_random_network(toy, make_net):
    with pytest.raises(TrialError, match="no time for a single training step"):
        toy.train(make_net(), deadline=time.monotonic() - 1)


def test_a_diverging_training_says_what_to_do(toy, make_net):
    with pytest.raises(TrialError, match=r"epoch \d+.*; lower the learning rate"):
        toy.train(make_net(), lr=1e30, options=TrainOptions(epochs=5))


def test_class_weights_shift_the_predictions(toy, make_net):
    net, other = make_net(), make_net()
    options = TrainOptions(epochs=1)
    plain = toy.train(net, lr=1e-2, options=options)
    tilted = toy.train(other, lr=1e-2, options=options, class_weight=np.array([50.0, 1, 1]))
    assert tilted.val_probs[:, 0].mean() > plain.val_probs[:, 0].mean() + 0.02


def test_validation_sees_the_averaged_weights(toy, make_net):
    options = TrainOptions(epochs=1, ema_decay=0.99)
    averaged, plain = (
        toy.train(make_net(), options=options),
        toy.train(make_net(), options=TrainOptions(epochs=1)),
    )
    assert averaged.history[0].train_loss == plain.history[0].train_loss
    assert not same(averaged.best_state, plain.best_state)
    assert averaged.best_state.keys() == plain.best_state.keys()


def test_precision_is_measured_when_asked(toy, make_net):
    train, val = toy.batches()
    result = train_network(
        make_net(),
        train_batches=train,
        val_batches=val,
        preprocess=Preprocess(),
        optimizer_factory=lambda p: torch.optim.SGD(p, lr=0.01),
        options=TrainOptions(epochs=1),
        device="cpu",
    )
    assert isinstance(result.precision, PrecisionPlan)
    assert result.precision.images_per_s > 0
    assert math.isfinite(result.history[0].train_loss)
