"""A config's values as a network and an augmentation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import autodl as ad
from autodl import optim
from autodl.errors import OptionError, TrialError, UnknownNameError
from autodl.models import build_network
from autodl.tasks.ensemble_network import NetworkSpec
from autodl.tasks.network_choice import (
    AUGMENTATIONS,
    WholeNetwork,
    build_arguments,
    build_net,
    default_batch_size,
    flips_allowed,
    make_augmentation,
)
from autodl.training import PadCropFlip, RandomResizedCropFlip, TrivialAugment
from tests.tasks import fakes, made


@ad.obj(hidden=ad.Int(2, 9, default=3))
class Own(nn.Module):
    def __init__(self, num_classes, hidden=3):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(192, hidden), nn.ReLU())
        self.out = nn.Linear(hidden, num_classes)

    def forward(self, x):
        return self.out(self.body(x))


@pytest.fixture(scope="module")
def data():
    return made.run_data([0, 1, 2] * 2, np.zeros(6, int))


def choice(**values):
    return WholeNetwork(**{"net": "small_resnet", "optimizer": optim.SGD().build(), **values})


def build(data, part, config=None, seed=0, **values):
    """The network that a recipe with this part makes of a config."""
    context = fakes.context(None, {"network": {"net": part}})
    built = context.values(config or {}, **build_arguments(data))
    return build_net(context, config or {}, choice(**built, **values), data, seed=seed)


def test_a_name_is_built_for_the_classes_and_the_size_of_the_data(data):
    net, spec = build(data, "small_resnet")
    assert (net.num_classes, net.preprocessing.input_size) == (3, 8)
    assert spec == NetworkSpec("small_resnet", {}, 3, net.preprocessing)


def test_options_reach_the_network_and_its_record(data):
    options = {"name": "small_resnet", "width": ad.Categorical(4, 8), "blocks": 1}
    net, spec = build(data, options, {"net/width": 4}, dropout=0.5)
    assert (spec.name, spec.options) == ("small_resnet", {"width": 4, "blocks": 1})
    assert net.dropout.p == 0.5
    build_network(spec.name, 3, input_size=8, **spec.options).load_state_dict(net.state_dict())


def test_the_seed_fixes_the_first_weights(data):
    states = [build(data, {"name": "small_resnet", "width": 4}, seed=s)[0].state_dict() for s in (1, 1, 2)]
    one, same, other = (state["head.weight"] for state in states)
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_a_module_keeps_its_weights_and_stays_as_it_is(data):
    given = made.linear(classes=3)
    net, spec = build(data, given)
    assert spec.user_defined and spec.name == "torch.nn.modules.container:Sequential"
    images = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(net.eval()(images), given(images))
    nn.init.zeros_(net.head.weight)
    assert given[1].weight.abs().sum() > 0


def test_a_decorated_class_learns_the_number_of_classes_and_is_recorded(data):
    net, spec = build(data, Own(), {"net/hidden": 5})
    assert net.num_classes == 3
    assert spec.name == f"{__name__}:Own.cls"
    assert spec.options == {"hidden": 5, "num_classes": 3}


@pytest.mark.parametrize(
    ("part", "error", "words"),
    [
        ("resnet1", UnknownNameError, "unknown network 'resnet1'"),
        ({"name": "small_resnet", "wide": 3}, UnknownNameError, "option of small_resnet 'wide'"),
        (made.linear(classes=7), TrialError, r"\(2, 7\).*3"),
        (made.linear(side=5, classes=3), TrialError, "shape"),
    ],
    ids=["name", "option", "classes", "size"],
)
def test_refuses_what_cannot_be_built_or_does_not_fit(data, part, error, words):
    with pytest.raises(error, match=words):
        build(data, part)


def test_pictures_that_are_cached_larger_are_cropped_others_are_shifted():
    crop = make_augmentation(choice(augment="standard"), input_size=24, cache_size=32)
    shift = make_augmentation(choice(augment="standard", cutout=0.25), input_size=32, cache_size=32)
    assert crop == RandomResizedCropFlip(24)
    assert shift == PadCropFlip(pad=4, cutout=8)
    assert make_augmentation(choice(), input_size=4, cache_size=4) == PadCropFlip(pad=1)


def test_a_name_stands_for_an_augmentation():
    assert make_augmentation(choice(augment="none"), 8, 8) is None
    trivial = make_augmentation(choice(augment="trivial"), 8, 8)
    assert isinstance(trivial, TrivialAugment) and trivial.then == PadCropFlip(pad=1)
    images = torch.randint(0, 256, (4, 3, 10, 10), dtype=torch.uint8)
    for name in AUGMENTATIONS:
        if name != "none":
            changed = make_augmentation(choice(augment=name), 8, 10)(images, torch.Generator())
            assert changed.shape == (4, 3, 8, 8) and changed.dtype == torch.uint8
    with pytest.raises(OptionError, match="unknown augment 'flips'; known: none, crop"):
        make_augmentation(choice(augment="flips"), 8, 8)


def test_ones_own_augmentation_is_taken_as_it_is():
    def own(images, generator):
        return images

    assert make_augmentation(choice(augment=own), 8, 8) is own
    assert not flips_allowed(choice(augment=own))
    assert make_augmentation(choice(augment=None), 8, 8) is None


@pytest.mark.parametrize("cache_size", [8, 10])
@pytest.mark.parametrize("augment", AUGMENTATIONS)
@pytest.mark.parametrize("flip", [True, False])
def test_predictions_mirror_what_training_mirrored(augment, flip, cache_size):
    values = choice(augment=augment, flip=flip)
    wanted = flip and augment in ("standard", "trivial")
    assert flips_allowed(values) is wanted
    augmentation = make_augmentation(values, 8, cache_size)
    base = augmentation.then if augment == "trivial" else augmentation
    assert getattr(base, "flip", False) is wanted


def test_batches_are_small_enough_for_some_twenty_steps():
    assert [default_batch_size(n) for n in (1, 300, 639, 640, 2000, 10**6)] == [16, 16, 16, 32, 64, 128]
