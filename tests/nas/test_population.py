"""Children of a population, and the planted optimum that evolution finds."""

import pytest
import torch
from torch import nn

from autodl.errors import NotFittedError, OptionError
from autodl.nas import OpChoice, Population, Space


def chain(count: int = 8) -> Space:
    def op(number: int) -> nn.Module:
        return OpChoice({name: nn.Identity() for name in "abcd"}, label=f"op{number}")

    return Space(lambda: nn.Sequential(*(op(number) for number in range(count))))


def nested() -> Space:
    def net() -> nn.Module:
        inner = OpChoice({name: nn.Identity() for name in "xyz"}, label="inner")
        return nn.Sequential(
            OpChoice({"flat": nn.Identity(), "deep": inner}, label="op"),
            OpChoice({"a": nn.Identity(), "b": nn.Identity()}, label="other"),
        )

    return Space(net)


def score(arch) -> float:
    return sum(value == "abcdabcd"[int(label[2:])] for label, value in arch.items())


def evolve(seed: int, evaluations: int, **options) -> list[float]:
    population = Population(chain(), 20, parents=5, **options)
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(evaluations):
        arch = population.sample(generator)
        found.append(score(arch))
        population.add(arch, found[-1])
    return found


@pytest.mark.parametrize("options", [{}, {"crossover": 0.5, "removal": "worst"}])
def test_finds_one_of_65536(options):
    assert all(max(evolve(seed, 800, **options)) == 8 for seed in range(3))


def test_children_of_conditional_architectures_are_valid():
    space = nested()
    population = Population(space, 4, mutation=0.3, crossover=0.5)
    generator = torch.Generator().manual_seed(0)
    seen = set()
    for _ in range(200):
        arch = population.sample(generator)
        assert space.validate(arch) == arch
        seen.add(tuple(arch.items()))
        population.add(arch, float(torch.rand((), generator=generator)))
    assert len(seen) == space.size() == 8


def test_a_mutant_differs():
    population = Population(chain(), mutation=0.0)
    generator = torch.Generator().manual_seed(0)
    parent = chain().sample(0)
    for _ in range(20):
        child = population.mutate(parent, generator)
        assert sum(child[label] != parent[label] for label in parent) == 1


def test_oldest_or_worst_leaves():
    space = chain(1)
    for removal, kept in [("oldest", ["b", "c"]), ("worst", ["a", "c"])]:
        population = Population(space, 2, removal=removal)
        for value, points in [("a", 2.0), ("b", 1.0), ("c", 3.0)]:
            population.add({"op0": value}, points)
        assert [arch["op0"] for arch, _ in population.members] == kept
        assert population.mode() == {"op0": "c"}


def test_only_acceptable_architectures():
    generator = torch.Generator().manual_seed(0)
    population = Population(chain(2), 3, accept=lambda arch: arch["op0"] == "c")
    for _ in range(20):
        arch = population.sample(generator)
        assert arch["op0"] == "c"
        population.add(arch, 0.0)
    with pytest.raises(OptionError, match="acceptable"):
        Population(chain(2), accept=lambda arch: False).sample(generator)


def test_state_and_errors():
    population = Population(chain(1), 2)
    with pytest.raises(NotFittedError, match="empty"):
        population.mode()
    population.add({"op0": "a"}, 1.0)
    other = Population(chain(1), 2)
    other.load_state_dict(population.state_dict())
    assert other.members == population.members
    with pytest.raises(OptionError, match="oldest or worst"):
        Population(chain(1), removal="best")
