"""A population of evaluated architectures that breeds new ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import torch
from torch import nn

from autodl.checks import check_whole
from autodl.errors import NotFittedError, OptionError
from autodl.nas.decisions import Arch
from autodl.nas.plans import OneHot, Plan
from autodl.nas.space import Space, draw_index
from autodl.spaces import Value

MAX_TRIES = 1000  # architectures drawn in search of one that `accept` takes


class Population:
    """Members with scores; samples are children of good members, or random while there are few.

    Args:
        space: of the architectures.
        size: members that are kept.
        parents: members that compete to become a parent; the best of them does.
        mutation: probability that a decision of a child changes; one always does.
        crossover: share of children with two parents.
        removal: "oldest" (regularised evolution) or "worst".
        accept: says whether an architecture may be drawn (its cost is within a limit); None: all.

    Source: Real et al., Regularized Evolution for Image Classifier Architecture Search, 2019;
    Guo et al., Single Path One-Shot, 2020, for the constraint.
    """

    def __init__(
        self,
        space: Space,
        size: int = 50,
        *,
        parents: int = 10,
        mutation: float = 0.1,
        crossover: float = 0.0,
        removal: Literal["oldest", "worst"] = "oldest",
        accept: Callable[[Arch], bool] | None = None,
    ) -> None:
        check_whole("size", size)
        check_whole("parents", parents)
        if not (0 <= mutation <= 1 and 0 <= crossover <= 1) or removal not in ("oldest", "worst"):
            raise OptionError("mutation and crossover lie in [0, 1]; removal is oldest or worst")
        self.space, self.size, self.parents = space, size, parents
        self.mutation, self.crossover, self.removal = mutation, crossover, removal
        self.accept = accept
        self.members: list[tuple[Arch, float]] = []

    def add(self, arch: Mapping[str, Value], score: float) -> None:
        """Take an evaluated architecture in; beyond `size`, one leaves."""
        self.members.append((self.space.validate(arch), float(score)))
        if len(self.members) > self.size:
            scores = [score for _, score in self.members]
            del self.members[0 if self.removal == "oldest" else scores.index(min(scores))]

    def sample(self, generator: torch.Generator) -> Arch:
        """A child; a random architecture while the population is not full.

        Raises:
            OptionError: `accept` refused a thousand architectures in a row.
        """
        for _ in range(MAX_TRIES):
            arch = self._draw(generator)
            if self.accept is None or self.accept(arch):
                return arch
        raise OptionError(f"none of {MAX_TRIES} architectures is acceptable; loosen the limit")

    def _draw(self, generator: torch.Generator) -> Arch:
        if len(self.members) < self.size:
            return self.space.sample(generator)
        mother = self._parent(generator)
        if float(torch.rand((), generator=generator)) < self.crossover:
            return self.cross(mother, self._parent(generator), generator)
        return self.mutate(mother, generator)

    def _parent(self, generator: torch.Generator) -> Arch:
        rivals = [self.members[draw_index(generator, len(self.members))] for _ in range(self.parents)]
        return max(rivals, key=lambda member: member[1])[0]

    def mutate(self, arch: Mapping[str, Value], generator: torch.Generator) -> Arch:
        """A copy in which each active decision changes with probability `mutation`, one surely.

        Decisions that become active are drawn uniformly.
        """
        decisions = self.space.decisions()
        free = [label for label in arch if len(decisions[label].choices) > 1]
        sure = free[draw_index(generator, len(free))] if free else None
        child: Arch = {}
        for label, decision in decisions.items():
            if not decision.is_active(child):
                continue
            count = len(decision.choices)
            old = decision.index(arch[label]) if label in arch else None
            changes = label == sure or float(torch.rand((), generator=generator)) < self.mutation
            if old is None:
                number = draw_index(generator, count)
            elif changes and count > 1:
                number = (old + 1 + draw_index(generator, count - 1)) % count
            else:
                number = old
            child[label] = decision.choices[number]
        return child

    def cross(
        self, mother: Mapping[str, Value], father: Mapping[str, Value], generator: torch.Generator
    ) -> Arch:
        """Each active decision from one parent or the other, with equal probability."""
        child: Arch = {}
        for label, decision in self.space.decisions().items():
            if not decision.is_active(child):
                continue
            values = [parent[label] for parent in (mother, father) if label in parent]
            child[label] = (values or decision.choices)[
                draw_index(generator, len(values or decision.choices))
            ]
        return child

    def mode(self) -> Arch:
        """The best member.

        Raises:
            NotFittedError: there is none.
        """
        if not self.members:
            raise NotFittedError("the population is empty; call add(arch, score)")
        return dict(max(self.members, key=lambda member: member[1])[0])

    def plan(self, generator: torch.Generator) -> Plan:
        """One architecture."""
        return OneHot(self.sample(generator))

    def parameters(self) -> Iterator[nn.Parameter]:
        """None: a population learns by its members."""
        return iter(())

    def state_dict(self) -> dict[str, Any]:
        """The members, as plain values."""
        return {"members": [[arch, score] for arch, score in self.members]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.members = [(dict(arch), float(score)) for arch, score in state["members"]]
