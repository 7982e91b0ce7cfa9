"""What is left open in a network: labelled decisions, and when each of them matters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from autodl.errors import SpaceError
from autodl.spaces import Value
from autodl.spaces.categorical import same

Arch = dict[str, Value]
"""An architecture: label -> choice, JSON scalars; labels of inactive decisions are absent."""

Condition = tuple[str, tuple[Value, ...]]
"""A label, and the choices of it that are asked for."""

Conjunction = tuple[Condition, ...]
"""Conditions that must hold together; empty: always."""

When = Mapping[str, "Value | tuple[Value, ...] | list[Value]"]
"""How users write a conjunction: label -> the choice, or the choices, under which it holds."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision of a space.

    Attributes:
        label: its name in architectures; modules that share it decide together.
        choices: what can be chosen, JSON scalars.
        when: the decision matters if one of these holds; empty: always.
    """

    label: str
    choices: tuple[Value, ...]
    when: tuple[Conjunction, ...] = ()

    def index(self, value: object) -> int | None:
        """The position of a choice; None if it is none. True is not 1 here."""
        return find(self.choices, value)

    def is_active(self, arch: Mapping[str, Value]) -> bool:
        """Whether an architecture, complete up to this decision, has to decide it."""
        return not self.when or any(holds(conjunction, arch) for conjunction in self.when)


def decide(decisions: Mapping[str, Decision], pick: Callable[[Decision], int]) -> Arch:
    """An architecture whose active decisions are taken one after the other.

    Args:
        decisions: of a space, those that others depend on first.
        pick: the position of the choice for an active decision.
    """
    arch: Arch = {}
    for label, decision in decisions.items():
        if decision.is_active(arch):
            arch[label] = decision.choices[pick(decision)]
    return arch


def find(choices: tuple[Value, ...], value: object) -> int | None:
    """The position of a value among choices, compared with its type; None if absent."""
    for position, choice in enumerate(choices):
        if same(choice, value):
            return position
    return None


def holds(conjunction: Conjunction, arch: Mapping[str, Value]) -> bool:
    """Whether all conditions hold; one on a label that the architecture lacks does not."""
    return all(label in arch and find(allowed, arch[label]) is not None for label, allowed in conjunction)


def as_conjunction(when: When | None) -> Conjunction:
    """A user's ``{"op": "conv"}`` or ``{"depth": (3, 4)}`` in its strict form."""
    return tuple(
        (label, tuple(allowed) if isinstance(allowed, tuple | list) else (allowed,))
        for label, allowed in (when or {}).items()
    )


def both(first: Conjunction, second: Conjunction) -> Conjunction:
    """The conjunction of two; conditions on one label become one."""
    merged = dict(first)
    for label, allowed in second:
        before = merged.get(label, allowed)
        merged[label] = tuple(value for value in before if find(allowed, value) is not None)
    return tuple(merged.items())


def collect(found: Iterable[Decision]) -> dict[str, Decision]:
    """Decisions as they were found in a network, one or more of each label, made one of each.

    Returns:
        label -> decision, those that others depend on before these, else in order of discovery.

    Raises:
        SpaceError: decisions tied by a label differ in their choices, a condition names an unknown
            label or choice, or conditions go in a circle.
    """
    tied: dict[str, list[Decision]] = {}
    for decision in found:
        tied.setdefault(decision.label, []).append(decision)
    merged = {label: _merge(decisions) for label, decisions in tied.items()}
    for decision in merged.values():
        _check_conditions(decision, merged)
    return _parents_first(merged)


def _merge(decisions: list[Decision]) -> Decision:
    first = decisions[0]
    for other in decisions[1:]:
        if len(other.choices) != len(first.choices) or not all(map(same, other.choices, first.choices)):
            raise SpaceError(
                f"decisions labelled {first.label!r} are tied, but their choices differ: "
                f"{list(first.choices)} and {list(other.choices)}; give them one list or two labels"
            )
    ways = [way for decision in decisions for way in decision.when or ((),)]
    kept: list[Conjunction] = []
    for way in sorted(dict.fromkeys(ways), key=len):
        if not any(set(weaker) <= set(way) for weaker in kept):
            kept.append(way)
    return Decision(first.label, first.choices, () if () in kept else tuple(kept))


def _check_conditions(decision: Decision, known: Mapping[str, Decision]) -> None:
    for conjunction in decision.when:
        for label, allowed in conjunction:
            if label not in known:
                raise SpaceError(
                    f"{decision.label!r} depends on {label!r}, which no module of the network decides; "
                    f"known labels: {', '.join(known)}"
                )
            strange = [value for value in allowed if known[label].index(value) is None]
            if strange:
                raise SpaceError(
                    f"{decision.label!r} depends on {label!r} being {strange[0]!r}, "
                    f"whose choices are {list(known[label].choices)}"
                )


def _parents_first(decisions: dict[str, Decision]) -> dict[str, Decision]:
    ordered: dict[str, Decision] = {}
    waiting = list(decisions.values())
    while waiting:
        later = []
        for decision in waiting:
            parents = {label for conjunction in decision.when for label, _ in conjunction}
            if parents <= ordered.keys():
                ordered[decision.label] = decision
            else:
                later.append(decision)
        if len(later) == len(waiting):
            labels = sorted(decision.label for decision in later)
            raise SpaceError(f"conditions of these decisions go in a circle: {', '.join(labels)}")
        waiting = later
    return ordered
