"""How many architectures there are, which ones, and the search space that engine searchers see."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from autodl.nas.decisions import Arch, Decision
from autodl.spaces import Categorical, Parameter, SearchSpace, Value
from autodl.spaces.serial import parameters_to_json

Decisions = Mapping[str, Decision]


def parents(decision: Decision) -> set[str]:
    """Labels that decide whether a decision matters."""
    return {label for conjunction in decision.when for label, _ in conjunction}


def count(decisions: Decisions) -> int:
    """The exact number of different architectures.

    Decisions that do not depend on each other multiply; within a group that does, every
    assignment of the deciding labels is tried.
    """
    return math.prod(_count_group(group) for group in groups(decisions))


def groups(decisions: Decisions) -> list[dict[str, Decision]]:
    """Decisions dealt out so that none depends on one of another group."""
    group_of: dict[str, set[str]] = {}
    for label, decision in decisions.items():
        together = {label}.union(*(group_of[parent] for parent in parents(decision)))
        for member in together:
            group_of[member] = together
    distinct = {id(group): group for group in group_of.values()}
    return [{label: decisions[label] for label in decisions if label in g} for g in distinct.values()]


def heads_of(group: Decisions) -> dict[str, Decision]:
    """The decisions that others depend on."""
    deciding = set().union(*map(parents, group.values()))
    return {label: decision for label, decision in group.items() if label in deciding}


def _count_group(group: Decisions) -> int:
    heads = heads_of(group)
    leaves = [decision for label, decision in group.items() if label not in heads]
    return sum(
        math.prod(len(leaf.choices) for leaf in leaves if leaf.is_active(arch)) for arch in every_arch(heads)
    )


def every_arch(decisions: Decisions) -> Iterator[Arch]:
    """All architectures, one at a time, the last label changing fastest."""
    ordered = list(decisions.values())
    turns: list[Iterator[Value] | None] = []  # None: the decision is inactive
    arch: Arch = {}
    while True:
        for decision in ordered[len(turns) :]:
            turn = iter(decision.choices) if decision.is_active(arch) else None
            turns.append(turn)
            if turn is not None:
                arch[decision.label] = next(turn)
        yield dict(arch)
        while turns and not _turn(ordered[len(turns) - 1].label, turns[-1], arch):
            turns.pop()
        if not turns:
            return


def _turn(label: str, turn: Iterator[Value] | None, arch: Arch) -> bool:
    if turn is None:
        return False
    for value in turn:
        arch[label] = value
        return True
    del arch[label]
    return False


def as_search_space(decisions: Decisions) -> SearchSpace:
    """A `Categorical` for each decision.

    The engine's conditions are chains of single choices. A decision with other conditions (at
    depth 3 or 4; after "conv3" or "conv5") is always active there, and `Space.validate` drops its
    value where it does not matter.
    """
    chains: dict[str, tuple[tuple[str, Value], ...]] = {}
    parameters = []
    for label, decision in decisions.items():
        chain: tuple[tuple[str, Value], ...] = ()
        if len(decision.when) == 1 and all(len(allowed) == 1 for _, allowed in decision.when[0]):
            wanted = tuple((parent, allowed[0]) for parent, allowed in decision.when[0])
            if chains[wanted[-1][0]] == wanted[:-1]:
                chain = wanted
        chains[label] = chain
        parameters.append(Parameter(label, Categorical(list(decision.choices)), chain))
    return SearchSpace.from_json(parameters_to_json(tuple(parameters)))
