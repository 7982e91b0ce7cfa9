import pickle

import numpy as np
import pytest
import torch

import autodl as ad
from autodl.errors import OptionError, SpaceError
from autodl.optim import OptimizerFactory
from autodl.spaces import Categorical, ObjectSpec, Real, SearchSpace

NAMES = ["SGD", "Adagrad", "Adam", "AdamW", "NAdam", "RAdam", "RMSprop"]


@pytest.mark.parametrize("name", NAMES)
def test_defaults_and_draws_make_torchs_optimizer_and_it_steps(name):
    spec = getattr(ad.optim, name)()
    assert isinstance(spec, ObjectSpec)
    configs = [spec.space.default, *(spec.space.sample(np.random.default_rng(i)) for i in range(5))]
    for config in configs:
        weight = torch.nn.Parameter(torch.ones(2))
        optimizer = spec.build(config)([weight])
        assert type(optimizer) is getattr(torch.optim, name)
        group = optimizer.param_groups[0]
        assert {k: group[k] for k in config} == config
        weight.square().sum().backward()
        optimizer.step()
        assert bool((weight < 1).all())


@pytest.mark.parametrize("name", NAMES)
def test_every_argument_is_one_of_torchs(name):
    factory = getattr(ad.optim, name)().build()
    assert dict(factory.options).keys() <= getattr(torch.optim, name)([torch.zeros(1)]).defaults.keys()


def test_arguments_become_spaces_or_constants():
    spec = ad.optim.AdamW(lr=Real(1e-4, 1e-2, log=True), weight_decay=0, betas=(Real(0.8, 0.95), 0.99))
    assert spec.space.labels == ("lr", "betas/0")
    group = spec.build({"lr": 1e-3, "betas/0": 0.9})([torch.zeros(1)]).param_groups[0]
    assert (group["lr"], group["betas"], group["weight_decay"]) == (1e-3, (0.9, 0.99), 0)


def test_the_optimizer_itself_can_be_searched():
    space = SearchSpace({"optimizer": Categorical(ad.optim.SGD(lr=0.1), ad.optim.Adam)})
    assert space["optimizer"].domain.choices == ("SGD", "Adam")
    assert space.build(space.default)["optimizer"].name == "SGD"


def test_sgd_without_momentum_drops_nesterov_which_torch_refuses():
    plain = ad.optim.SGD(momentum=0).build()([torch.zeros(1)])
    assert plain.param_groups[0]["nesterov"] is False
    assert ad.optim.SGD().build()([torch.zeros(1)]).param_groups[0]["nesterov"] is True


def test_parameter_groups_keep_their_own_options():
    groups = [{"params": [torch.zeros(1)], "weight_decay": 0.0}, {"params": [torch.zeros(1)]}]
    optimizer = ad.optim.AdamW(lr=0.1, weight_decay=0.3).build()(groups)
    assert [g["weight_decay"] for g in optimizer.param_groups] == [0.0, 0.3]


def test_misspelt_and_refused_options():
    with pytest.raises(SpaceError, match="SGD takes no argument 'learning_rate'; it takes: lr, momentum"):
        ad.optim.SGD(learning_rate=0.1)
    with pytest.raises(OptionError, match=r"torch\.optim\.Adam refuses .*Invalid learning rate: -1"):
        ad.optim.Adam(lr=-1).build()([torch.zeros(1)])


def test_factories_are_values_that_cross_processes():
    factory = ad.optim.SGD(lr=0.1).build()
    assert pickle.loads(pickle.dumps(factory)) == factory == ad.optim.SGD(lr=0.1).build()
    assert pickle.loads(pickle.dumps(ad.optim.SGD)) == ad.optim.SGD
    other = factory.update(lr=0.2)
    assert dict(other.options)["lr"] == 0.2 and dict(factory.options)["lr"] == 0.1
    assert isinstance(other, OptimizerFactory)
