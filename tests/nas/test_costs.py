import pytest
import torch
from torch import nn

from autodl.errors import OptionError
from autodl.nas import Elastic, ElasticBatchNorm2d, ElasticConv2d, InputChoice, OpChoice, Repeat, Space
from autodl.nas.costs import MACs, Params


class Mixed(nn.Module):
    """Ops, a nested op, a depth, widths, kernels, inputs: all kinds of decisions."""

    def __init__(self):
        super().__init__()
        width = Elastic([4, 6], label="width")
        self.stem = ElasticConv2d(3, width, 3)
        self.norm = ElasticBatchNorm2d(width)
        self.mid = ElasticConv2d(width, 8, Elastic([1, 3], label="kernel"), stride=2)
        inner = OpChoice({"wide": nn.Conv2d(8, 8, 5, padding=2), "thin": nn.Conv2d(8, 8, 1)}, label="inner")
        self.op = OpChoice({"nest": nn.Sequential(inner, nn.ReLU()), "skip": nn.Identity()}, label="op")
        self.body = Repeat(
            lambda i: nn.Conv2d(8, 8, 3, padding=1, groups=8), depth=Elastic([1, 3], label="depth")
        )
        self.join = InputChoice(n_candidates=2, n_chosen=1, label="join")
        self.head = nn.Linear(8, 10)

    def forward(self, x):
        x = self.mid(self.norm(self.stem(x)).relu())
        x = self.join([self.op(x), x])
        return self.head(self.body(x).mean((2, 3)))


@pytest.fixture(scope="module")
def space():
    return Space(Mixed)


def measured_macs(net, shape):
    """Counted on the ordinary network, by hooks of its own."""
    total = []

    def count(module, args, output):
        if isinstance(module, nn.Conv2d):
            total.append(output[0, 0].numel() * module.weight.numel())
        elif isinstance(module, nn.Linear):
            total.append(module.weight.numel())

    for module in net.modules():
        module.register_forward_hook(count)
    with torch.no_grad():
        net.eval()(torch.zeros(1, *shape))
    return sum(total) / 1e6


def test_params_are_those_of_the_realised_network(space):
    params = Params(space)
    for arch in space.enumerate():
        assert params.cost(arch) == sum(p.numel() for p in space.realise(arch).parameters())


def test_macs_are_those_of_the_realised_network(space):
    macs = MACs(space, (3, 9, 9))
    for arch in space.enumerate():
        assert macs.cost(arch) == pytest.approx(measured_macs(space.realise(arch), (3, 9, 9)))


def uniform(space):
    return {
        label: torch.full((len(d.choices),), 1 / len(d.choices), requires_grad=True)
        for label, d in space.decisions().items()
    }


def test_expectation_under_one_hot_is_the_cost_of_that_architecture(space):
    macs = MACs(space, (3, 9, 9))
    for arch in space.enumerate():
        probs = {
            label: torch.eye(len(d.choices))[d.index(arch.get(label, d.choices[0]))]
            for label, d in space.decisions().items()
        }
        assert float(macs.expected(probs)) == pytest.approx(macs.cost(arch), rel=1e-5)


@pytest.mark.parametrize("make", [Params, lambda space: MACs(space, (3, 9, 9))])
def test_expectation_is_the_mean_over_all_architectures(space, make):
    cost = make(space)
    generator = torch.Generator().manual_seed(0)
    probs = {
        label: torch.rand(len(d.choices), generator=generator).softmax(0)
        for label, d in space.decisions().items()
    }
    mean = 0.0
    for arch in space.enumerate():
        chance = 1.0
        for label, value in arch.items():
            chance *= float(probs[label][space.decisions()[label].index(value)])
        mean += chance * cost.cost(arch)
    assert float(cost.expected(probs)) == pytest.approx(mean, rel=1e-5)


def test_gradient_through_softmax_is_its_jacobian_times_the_table():
    """FBNet: dE/dalpha = J_softmax . lut, in closed form."""
    ops = {"a": nn.Conv2d(2, 2, 1), "b": nn.Conv2d(2, 2, 3, padding=1), "c": nn.Identity()}
    macs = MACs(Space(OpChoice(ops, label="op")), (2, 4, 4))
    table = torch.tensor([macs.cost({"op": name}) for name in ops])
    alpha = torch.tensor([0.3, -0.2, 0.9], requires_grad=True)
    macs.expected({"op": alpha.softmax(0)}).backward()
    p = alpha.detach().softmax(0)
    assert torch.allclose(alpha.grad, (torch.diag(p) - torch.outer(p, p)) @ table, atol=1e-9)


def test_missing_probabilities_are_named(space):
    probs = uniform(space)
    del probs["kernel"]
    with pytest.raises(OptionError, match="1 labels without probabilities: kernel"):
        MACs(space, (3, 9, 9)).expected(probs)
