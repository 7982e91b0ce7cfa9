"""The contract of a space of architectures, as tests to inherit.

The contract of a search strategy is in `autodl.testing.nas_strategies`.

Example::

    from autodl.testing.nas import SpaceContract

    class TestMine(SpaceContract):
        def make(self):
            return Space(MyNetwork)

        def inputs(self):
            return (torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)),)
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from autodl.errors import ConfigError, PlanError
from autodl.nas import Arch, DecisionModule, OneHot, OpChoice, Soft, Space, active
from autodl.spaces import Value

MAX_ENUMERATED = 20_000


def outputs_under(net: nn.Module, arch: Mapping[str, Value], inputs: tuple[Tensor, ...]) -> list[Tensor]:
    """What a super-net gives under one architecture, as a list of tensors."""
    with active(net, OneHot(arch)):
        return as_list(net(*inputs))


def as_list(outputs: Tensor | tuple[Tensor, ...] | list[Tensor]) -> list[Tensor]:
    """One tensor or several."""
    return [outputs] if isinstance(outputs, Tensor) else list(outputs)


def idle_parameters(net: nn.Module, arch: Mapping[str, Value]) -> list[nn.Parameter]:
    """Parameters that only candidates have which an architecture does not choose."""
    running = {id(p) for p in _running(net, arch)}
    return [p for p in net.parameters() if id(p) not in running]


def _running(module: nn.Module, arch: Mapping[str, Value]) -> Iterator[nn.Parameter]:
    yield from module.parameters(recurse=False)
    children = list(module.children())
    if isinstance(module, OpChoice):
        children = [module[str(arch[module.label])]] if module.label in arch else [module.candidates[0]]
    for child in children:
        yield from _running(child, arch)


class SpaceContract:
    """What every space must do. Inherit, name the class ``Test...``, and define `make` and `inputs`."""

    num_archs = 6
    """Architectures drawn for each test."""

    mixes = True
    """Whether plans that mix all choices make sense here (outputs have one shape)."""

    tolerance = 1e-5
    """Largest difference of outputs that should be equal, relative to the largest output."""

    def make(self) -> Space:
        """The space."""
        raise NotImplementedError

    def inputs(self) -> tuple[Tensor, ...]:
        """What the network is called with; the same in every call."""
        raise NotImplementedError

    def archs(self, space: Space) -> list[Arch]:
        """The architectures that are tried."""
        rng = np.random.default_rng(0)
        return [space.sample(rng) for _ in range(self.num_archs)]

    def assert_equal(self, found: list[Tensor], expected: list[Tensor]) -> None:
        """Check outputs within the tolerance."""
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            assert a.shape == b.shape
            scale = float(b.detach().abs().max()) or 1.0
            assert float((a - b).detach().abs().max()) <= self.tolerance * scale

    def test_size_is_the_number_of_different_architectures(self) -> None:
        """Of a space small enough to enumerate."""
        space = self.make()
        if space.size() <= MAX_ENUMERATED:
            keys = [json.dumps(arch, sort_keys=True) for arch in space.enumerate()]
            assert len(keys) == len(set(keys)) == space.size()

    def test_architectures_are_canonical_and_go_through_json(self) -> None:
        """`validate` gives them back as they are, JSON too."""
        space = self.make()
        for arch in self.archs(space):
            assert list(space.validate(arch).items()) == list(arch.items())
            assert space.validate(json.loads(json.dumps(arch))) == arch

    def test_wrong_architectures_are_refused(self) -> None:
        """Unknown labels, missing ones, values that are no choices."""
        space = self.make()
        arch = self.archs(space)[0]
        label = next(iter(arch))
        wrong: list[Mapping[str, Value]] = [{**arch, "no such label": 1}, {**arch, label: "no such choice"}]
        for bad in [*wrong, {k: v for k, v in arch.items() if k != label}]:
            try:
                space.validate(bad)
            except ConfigError:
                continue
            raise AssertionError(f"{bad} was taken for an architecture")

    def test_configs_of_the_engines_space_are_architectures(self) -> None:
        """Any searcher can search it."""
        space = self.make()
        rng = np.random.default_rng(1)
        search_space = space.search_space()
        assert list(search_space.labels) == list(space.decisions())
        for _ in range(self.num_archs):
            arch = space.validate(search_space.sample(rng))
            assert space.validate(arch) == arch

    def test_seeds(self) -> None:
        """Equal seeds give equal samples and weights, and torch's global generator stays as it is."""
        space = self.make()
        before = torch.get_rng_state()
        assert space.sample(3) == space.sample(3)
        arch = space.sample(3)
        nets = [[space.supernet(5), space.realise(arch, seed=5)] for _ in range(2)]
        for first, second in zip(*nets, strict=True):
            for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
                assert torch.equal(a, b)
        assert torch.equal(before, torch.get_rng_state())

    def test_realised_network_equals_the_supernet(self) -> None:
        """In evaluation and in training mode; it is an ordinary network and shares no weights."""
        space = self.make()
        supernet = space.supernet(0)
        for arch in self.archs(space):
            for is_training in (False, True):
                mine = copy.deepcopy(supernet).train(is_training)
                net = space.realise(arch, inherit=mine)
                assert not any(isinstance(module, DecisionModule) for module in net.modules())
                assert not {p.data_ptr() for p in net.parameters() if p.numel()} & {
                    p.data_ptr() for p in mine.parameters()
                }
                self.assert_equal(as_list(net(*self.inputs())), outputs_under(mine, arch, self.inputs()))
                if is_training:  # both have seen one batch
                    net.eval(), mine.eval()
                    self.assert_equal(as_list(net(*self.inputs())), outputs_under(mine, arch, self.inputs()))

    def test_network_from_scratch_runs(self) -> None:
        """Without a super-net, with weights of its own."""
        space = self.make()
        for arch in self.archs(space):
            net = space.realise(arch, seed=1)
            assert all(torch.isfinite(output).all() for output in as_list(net(*self.inputs())))

    def test_paths_that_are_not_chosen_get_no_gradient(self) -> None:
        """None, not zero, or momentum and weight decay would move them."""
        space = self.make()
        for arch in self.archs(space):
            net = space.supernet(0)
            outputs = outputs_under(net, arch, self.inputs())
            if any(output.requires_grad for output in outputs):
                torch.autograd.backward([output.sum() for output in outputs if output.requires_grad])
            assert all(p.grad is None for p in idle_parameters(net, arch))

    def test_one_hot_weights_are_the_architecture(self) -> None:
        """A mixture with all weight on one choice equals that choice."""
        space = self.make()
        net = space.supernet(0).eval()
        for arch in self.archs(space) if self.mixes else []:
            weights = {}
            for label, decision in space.decisions().items():
                weights[label] = torch.zeros(len(decision.choices))
                weights[label][decision.index(arch.get(label)) or 0] = 1.0
            with active(net, Soft(weights)):
                mixed = as_list(net(*self.inputs()))
            self.assert_equal(mixed, outputs_under(net, arch, self.inputs()))

    def test_network_with_open_decisions_needs_a_plan(self) -> None:
        """A named error; outside a block again, and for a copy made within."""
        space = self.make()
        net = space.supernet(0)
        with active(net, OneHot(self.archs(space)[0])):
            clone = copy.deepcopy(net)
            nets = [clone]
        for each in [*nets, net]:
            try:
                each(*self.inputs())
            except PlanError:
                continue
            raise AssertionError("the network ran without a plan")

    def test_threads_have_plans_of_their_own(self) -> None:
        """One super-net, one architecture in each thread, at the same time."""
        space = self.make()
        net = space.supernet(0).eval()
        archs = self.archs(space)[:3]
        expected = [outputs_under(net, arch, self.inputs()) for arch in archs]
        problems: list[BaseException] = []
        start = threading.Barrier(len(archs))

        def work(number: int) -> None:
            try:
                start.wait()
                for _ in range(5):
                    self.assert_equal(outputs_under(net, archs[number], self.inputs()), expected[number])
            except BaseException as error:  # told to the test below
                problems.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(len(archs))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not problems, problems
