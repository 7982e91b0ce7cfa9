"""Spaces of several shapes under the contract, and what is counted, tied and conditional."""

import copy

import pytest
import torch
from torch import Tensor, nn

from autodl.errors import ConfigError, SpaceError
from autodl.nas import (
    Elastic,
    ElasticBatchNorm2d,
    ElasticConv2d,
    ElasticLinear,
    InputChoice,
    OneHot,
    OpChoice,
    Repeat,
    Space,
    active,
)
from autodl.testing.nas import SpaceContract
from autodl.testing.nas_strategies import TinyNet


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def block(number: int) -> nn.Module:
    nested = OpChoice({"conv": nn.Conv2d(8, 8, 3, padding=1), "tanh": nn.Tanh()}, label=f"inner{number}")
    return OpChoice(
        {"conv.1": nn.Conv2d(8, 8, 1), "skip": nn.Identity(), "inner": nested}, label=f"op{number}"
    )


class EverythingNet(nn.Module):
    def __init__(self, num_classes: int = 3) -> None:
        super().__init__()
        width, kernel = Elastic([4, 8, 6], label="width"), Elastic([3, 5], label="kernel")
        self.conv = ElasticConv2d(3, width, kernel)
        self.norm = ElasticBatchNorm2d(width)
        self.depthwise = ElasticConv2d(width, width, kernel, groups="depthwise", bias=False, stride=2)
        self.norm2 = ElasticBatchNorm2d(width)
        self.project = ElasticConv2d(width, 8, 1)
        self.body = Repeat(block, depth=Elastic([1, 2, 3], label="depth"))
        self.any = InputChoice(2, None, label="any")
        self.pair = InputChoice(3, 2, label="pair", reduce="mean")
        expansion = Elastic([1, 2], label="expansion") * 4
        self.hidden = ElasticLinear(8, expansion)
        self.head = ElasticLinear(expansion, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.conv(x)))
        x = self.project(self.norm2(self.depthwise(x)))
        y = self.body(x)
        z = self.pair([x, y, self.any([x, y])])
        logits: Tensor = self.head(torch.relu(self.hidden(z.mean((2, 3)))))
        return logits


class TestEverything(SpaceContract):
    num_archs = 10

    def make(self):
        return Space(EverythingNet, num_classes=3)

    def inputs(self):
        return (noise(4, 3, 8, 8),)


class TestChain(SpaceContract):
    def make(self):
        return Space(TinyNet)

    def inputs(self):
        return (noise(4, 1, 6, 6),)


class TestGivenModule(SpaceContract):
    """A module, not a class; and a decision at the root."""

    def make(self):
        with torch.random.fork_rng():
            torch.default_generator.manual_seed(0)
            return Space(OpChoice({"linear": nn.Linear(4, 4), "tanh": nn.Tanh()}, label="op"))

    def inputs(self):
        return (noise(4, 4),)


def test_sizes_by_hand():
    # width 3, kernel 2, expansion 2, any 2 * 2, pair 3; a block has 1 + 1 + 2 = 4 forms.
    assert Space(EverythingNet).size() == 3 * 2 * 2 * 4 * 3 * (4 + 4**2 + 4**3)
    assert Space(TinyNet).size() == 9


def test_size_of_a_space_too_large_to_enumerate():
    def net() -> nn.Module:
        return nn.Sequential(*(block(number) for number in range(60)))

    assert Space(net).size() == 4**60


def test_engine_counts_the_same_where_it_can_express_the_conditions():
    space = Space(lambda: nn.Sequential(block(0), block(1)))
    assert space.search_space().size == space.size() == 16
    everything = Space(EverythingNet)
    assert everything.search_space().size > everything.size()


def test_equal_labels_decide_together():
    def op() -> nn.Module:
        return OpChoice({"linear": nn.Linear(2, 2), "skip": nn.Identity()}, label="op")

    space = Space(lambda: nn.Sequential(op(), op()))
    assert list(space.enumerate()) == [{"op": "linear"}, {"op": "skip"}]
    net = space.realise({"op": "linear"})
    assert [type(part) for part in net] == [nn.Linear, nn.Linear]
    assert not torch.equal(net[0].weight, net[1].weight)  # tied in the choice, not in weights


def test_equal_labels_with_other_choices_are_an_error():
    def net() -> nn.Module:
        one = OpChoice({"a": nn.Identity(), "b": nn.Tanh()}, label="op")
        return nn.Sequential(one, OpChoice({"a": nn.Identity(), "c": nn.Tanh()}, label="op"))

    with pytest.raises(SpaceError, match=r"labelled 'op' are tied.*\['a', 'b'\].*\['a', 'c'\]"):
        Space(net)


def test_module_used_twice_stays_one_module():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = OpChoice({"linear": nn.Linear(2, 2), "skip": nn.Identity()}, label="op")
            self.second = self.first

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.second(self.first(x))
            return out

    net = Space(Twice).realise({"op": "linear"})
    assert net.first is net.second


def test_a_users_condition():
    def net() -> nn.Module:
        first = OpChoice({"conv": nn.Linear(2, 2), "skip": nn.Identity()}, label="op")
        # Runs whatever `op` is, but is only asked about after "conv": elsewhere it is its first choice.
        second = OpChoice({"tanh": nn.Tanh(), "relu": nn.ReLU()}, label="act", when={"op": "conv"})
        return nn.Sequential(first, second)

    space = Space(net)
    assert space.size() == 3 == space.search_space().size
    assert space.validate({"op": "skip", "act": "relu"}) == {"op": "skip"}
    supernet = space.supernet()
    x = noise(3, 2)
    with active(supernet, OneHot({"op": "skip"})):
        assert torch.equal(supernet(x), torch.tanh(x))
    assert torch.equal(space.realise({"op": "skip"})(x), torch.tanh(x))


def test_conditions_may_precede_what_they_name_but_not_go_in_circles():
    def choice(label: str, on: str | None) -> nn.Module:
        when = None if on is None else {on: "a"}
        return OpChoice({"a": nn.Identity(), "b": nn.Tanh()}, label=label, when=when)

    space = Space(lambda: nn.Sequential(choice("late", "early"), choice("early", None)))
    assert list(space.decisions()) == ["early", "late"]
    with pytest.raises(SpaceError, match="in a circle: one, two"):
        Space(lambda: nn.Sequential(choice("one", "two"), choice("two", "one")))
    with pytest.raises(SpaceError, match="'one' depends on 'nowhere'"):
        Space(lambda: nn.Sequential(choice("one", "nowhere")))


def test_tied_decision_is_active_where_any_of_its_places_is():
    def net() -> nn.Module:
        def inner() -> nn.Module:
            return OpChoice({"x": nn.Identity(), "y": nn.Tanh()}, label="inner")

        return OpChoice({"a": inner(), "b": inner(), "c": nn.ReLU()}, label="outer")

    space = Space(net)
    assert space.size() == 5 == len(list(space.enumerate()))
    assert space.decisions()["inner"].is_active({"outer": "b"})
    assert not space.decisions()["inner"].is_active({"outer": "c"})


def test_what_is_no_space():
    with pytest.raises(SpaceError, match="leaves nothing open"):
        Space(lambda: nn.Linear(2, 2))
    with pytest.raises(SpaceError, match="made int"):
        Space(lambda: 3)
    with pytest.raises(SpaceError, match="a network or what makes one"):
        Space(3)


def test_problems_of_an_architecture_are_listed_with_near_labels():
    with pytest.raises(
        ConfigError, match=r"(?s)3 problems.*layer_0: unknown label; did you mean 'layer0'.*missing"
    ):
        Space(TinyNet).validate({"layer_0": "conv", "layer1": "none"})


def test_inherited_networks_keep_mode_and_their_own_statistics():
    space = Space(EverythingNet)
    supernet = space.supernet().eval()
    before = copy.deepcopy(supernet.state_dict())
    net = space.realise(space.sample(0), inherit=supernet)
    assert not net.training
    net.train()(noise(4, 3, 8, 8))
    assert all(
        torch.equal(a, b) for a, b in zip(before.values(), supernet.state_dict().values(), strict=True)
    )


def test_samples_cover_every_architecture():
    space = Space(TinyNet)
    generator = torch.Generator().manual_seed(0)
    found = {tuple(space.sample(generator).items()) for _ in range(100)}
    assert len(found) == 9
