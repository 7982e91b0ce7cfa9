"""Declared units as a space with shared weights, with the engine's labels."""

import pytest
import torch
from torch import Tensor, nn

from autodl.errors import SpaceError
from autodl.nas import Gated, OneHot, Soft, Space, active
from autodl.nas.from_objects import Units, space_from
from autodl.nas.space_factory import SpaceFactory
from autodl.spaces import Bool, Categorical, Int, List, Real, SearchSpace, func, obj
from autodl.testing.nas import SpaceContract


@obj()
class ConvUnit(nn.Module):
    def __init__(self, channels_in, channels, hidden, kernel, stride=1):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels_in, hidden, kernel, padding=kernel // 2, stride=stride, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, channels, 1),
        )

    def forward(self, x):
        return self.layers(x)


@obj()
class Head(nn.Module):
    def __init__(self, channels, num_classes):
        super().__init__()
        self.linear = nn.Linear(channels, num_classes)

    def forward(self, x):
        return self.linear(x.mean((2, 3)))


@obj(scale=Int(1, 2), bias=Bool())
class Net(nn.Module):
    def __init__(self, scale, bias, body, num_classes=3):
        super().__init__()
        self.scale, self.body = scale, nn.ModuleList(body)
        self.head = nn.Linear(4, num_classes, bias=bias)

    def forward(self, x):
        for unit in self.body:
            x = unit(x)
        return self.scale * self.head(x.mean((2, 3)))


@obj(kernel=Categorical(1, 3))
class Plain(nn.Conv2d):
    def __init__(self, channels_in, channels, kernel):
        super().__init__(channels_in, channels, kernel, padding=kernel // 2)


def row():
    return List(
        ConvUnit(3, 4, hidden=Categorical(2, 6), kernel=Categorical(1, 3), stride=2),
        Categorical(ConvUnit(4, 4, hidden=4, kernel=Categorical(1, 3)), nn.Identity()),
        Head(4),
    )


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


class TestRow(SpaceContract):
    def make(self) -> Space:
        return space_from(row(), num_classes=3)

    def inputs(self):
        return (noise(4, 3, 8, 8),)


class TestNetwork(SpaceContract):
    def make(self) -> Space:
        return space_from(Net(body=[Plain(3, 4), Plain(4, 4)]))

    def inputs(self):
        return (noise(4, 3, 8, 8),)


@pytest.mark.parametrize(
    "declared", [row(), Net(body=[Plain(3, 4), Plain(4, 4)]), List(Plain(3, 4, kernel=3), Plain(4, 4))]
)
def test_architectures_are_configs_of_the_engine(declared):
    space, engine = space_from(declared, num_classes=3), SearchSpace(declared)
    assert list(space.enumerate()) == list(engine.enumerate())
    assert space.size() == engine.size
    assert tuple(space.decisions()) == engine.labels


def test_a_variant_is_what_the_engine_builds():
    declared = ConvUnit(3, 4, hidden=Categorical(2, 6), kernel=Categorical(1, 3))
    net = space_from(declared).realise({"hidden": 6, "kernel": 3})
    built = declared.build({"hidden": 6, "kernel": 3})
    assert type(net) is ConvUnit.cls
    assert {k: v.shape for k, v in net.state_dict().items()} == {
        k: v.shape for k, v in built.state_dict().items()
    }


def test_mixtures_weigh_variants_by_the_product_of_their_choices():
    space = space_from(ConvUnit(3, 4, hidden=Categorical(2, 6), kernel=Categorical(1, 3)))
    net, x = space.supernet(0).eval(), noise(2, 3, 6, 6)
    weights = {"hidden": torch.tensor([0.3, 0.7]), "kernel": torch.tensor([0.9, 0.1])}
    with active(net, Soft(weights)):
        mixed = net(x)
    expected = 0
    for i, hidden in enumerate((2, 6)):
        for j, kernel in enumerate((1, 3)):
            with active(net, OneHot({"hidden": hidden, "kernel": kernel})):
                expected = expected + weights["hidden"][i] * weights["kernel"][j] * net(x)
    assert torch.allclose(mixed, expected, atol=1e-6)


def test_gates_get_gradients():
    space = space_from(ConvUnit(3, 4, hidden=2, kernel=Categorical(1, 3)))
    net, probs = space.supernet(0), torch.tensor([0.5, 0.5], requires_grad=True)
    with active(net, Gated({"kernel": (probs, 1, (0,))})):
        net(noise(2, 3, 6, 6)).sum().backward()
    assert probs.grad is not None and (probs.grad != 0).all()


def test_choices_that_bring_decisions():
    @obj(slope=Categorical(0.1, 0.2))
    class Leaky:
        def __init__(self, slope):
            self.slope = slope

    @obj(act=Categorical("relu", Leaky()))
    class Act(nn.Module):
        def __init__(self, act):
            super().__init__()
            self.slope = 0.0 if act == "relu" else act.slope

        def forward(self, x):
            return nn.functional.leaky_relu(x, self.slope)

    space = space_from(Act())
    assert list(space.enumerate()) == list(SearchSpace(Act()).enumerate())
    assert space.size() == 3
    assert space.realise({"act": "Leaky", "act/Leaky/slope": 0.2}).slope == 0.2


def test_functions_make_units_and_arguments():
    @func()
    def block(width):
        return nn.Sequential(nn.Conv2d(3, width, 1), nn.Conv2d(width, 3, 1))

    net = space_from([block(Categorical(2, 4))]).realise({"0/width": 4})
    assert net[0][0].out_channels == 4


def test_a_description_learns_its_classes_later():
    units = Units(row())
    assert isinstance(units, SpaceFactory)
    space = units.space(num_classes=7, side=8)
    assert space.realise(space.sample(0))(noise(2, 3, 8, 8)).shape == (2, 7)


@pytest.mark.parametrize(
    ("net", "words"),
    [
        ([nn.Identity()], "nothing is open"),
        ([Plain(3, 4, kernel=Int(1, 99))], "99 variants"),
        ([Plain(3, 4, kernel=Real(0, 1))], "0/kernel is Real"),
        ([Int(1, 3)], "0 is no unit"),
        ([Categorical(1, 3)], "a choice between modules"),
    ],
)
def test_what_it_refuses(net, words):
    with pytest.raises(SpaceError, match=words):
        space_from(net)


def test_units_that_change_shape_are_named():
    widths = [Plain(3, Categorical(4, 8), kernel=1), Plain(4, 4)]
    with pytest.raises(SpaceError, match=r"'0/channels': 8.*one shape of output"):
        space_from(widths, example=noise(2, 3, 8, 8))
    with pytest.raises(SpaceError, match="does not take an input"):
        space_from([Plain(3, 4)], example=noise(2, 5, 8, 8))
