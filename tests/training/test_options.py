from __future__ import annotations

import pytest
import torch
from torch import nn

from autodl.errors import OptionError
from autodl.models.network import build_network
from autodl.training.options import TrainOptions, parameter_groups


def test_every_wrong_option_is_named():
    with pytest.raises(
        OptionError, match=r"epochs must be >= 1, got 0; label_smoothing must lie in \[0, 1\)"
    ):
        TrainOptions(epochs=0, label_smoothing=1.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", 0),
        ("mixup", -1),
        ("cutmix", -0.1),
        ("ema_decay", 1.0),
        ("clip_norm", 0),
        ("warmup_fraction", 1.0),
        ("patience", 0),
        ("precision", "fp8"),
        ("backbone_lr_scale", 0),
    ],
)
def test_each_rule(name, value):
    with pytest.raises(OptionError, match=name):
        TrainOptions(**{name: value})


def test_norms_and_biases_do_not_decay(make_net):
    net = make_net()
    groups = parameter_groups(net, TrainOptions())
    decayed = [g for g in groups if "weight_decay" not in g]
    assert {id(p) for g in decayed for p in g["params"]} == {id(net[0].weight), id(net[6].weight)}
    assert sum(len(g["params"]) for g in groups) == len(list(net.parameters()))
    optimizer = torch.optim.AdamW(groups, weight_decay=0.3)
    assert sorted(g["weight_decay"] for g in optimizer.param_groups) == [0.0, 0.3]


def test_decay_norms_decays_everything(make_net):
    (group,) = parameter_groups(make_net(), TrainOptions(decay_norms=True))
    assert "weight_decay" not in group


def test_the_backbone_has_its_own_learning_rate():
    net = build_network("small_resnet", 3, input_size=8, width=8, blocks=1)
    scales = {}
    for group in parameter_groups(net, TrainOptions(backbone_lr_scale=0.1)):
        for parameter in group["params"]:
            scales[id(parameter)] = group["lr_scale"]
    assert scales[id(net.head.weight)] == scales[id(net.head.bias)] == 1.0
    assert {scales[id(p)] for p in net.backbone.parameters()} == {0.1}


def test_frozen_parameters_are_left_out_and_all_frozen_is_an_error(make_net):
    net = make_net()
    net[0].requires_grad_(False)
    ids = {id(p) for g in parameter_groups(net, TrainOptions()) for p in g["params"]}
    assert id(net[0].weight) not in ids
    with pytest.raises(OptionError, match="no trainable parameter"):
        parameter_groups(nn.Linear(2, 2).requires_grad_(False), TrainOptions())
