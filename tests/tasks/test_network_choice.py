"""A config's values as a network and an augmentation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import autodl as ad
from autodl import optim
from autodl.augment import Policy
from autodl.errors import TrialError, UnknownNameError
from autodl.models import build_network
from autodl.tasks.augment_choice import AUGMENTATIONS
from autodl.tasks.ensemble_network import NetworkSpec
from autodl.tasks.network_choice import (
    WholeNetwork,
    build_arguments,
    build_net,
    default_batch_size,
    flips_allowed,
)
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


@pytest.mark.parametrize("flip", [True, False])
def test_predictions_mirror_what_training_mirrored(flip):
    for augment in (*AUGMENTATIONS, Policy([[("Invert", 1.0, 0.0)]])):
        assert flips_allowed(choice(augment=augment, flip=flip)) is (flip and augment not in ("none", "crop"))
    assert not flips_allowed(choice(augment=None))
    assert not flips_allowed(choice(augment=lambda images, generator: images))


def test_batches_are_small_enough_for_some_twenty_steps():
    assert [default_batch_size(n) for n in (1, 300, 639, 640, 2000, 10**6)] == [16, 16, 16, 32, 64, 128]
