"""One of several choices: scalars, any other objects, or whole nested spaces."""

from __future__ import annotations

import enum
import functools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from autodl.errors import SpaceError
from autodl.spaces.base import Domain, Value, detach, from_bin, to_bin

MAX_NAME = 60  # characters; longer values are called by their type's name


@dataclass(frozen=True, slots=True, init=False, eq=False)
class Categorical(Domain):
    """One of several choices.

    In a config a JSON scalar stands for itself. Any other choice (a tuple, a class, a nested
    space, a decorated object) has a name there: its ``__name__``, its value if that is short,
    or its type's name; a name that is taken gets ``#2``, ``#3``. A choice that holds spaces
    brings its labels only where it is chosen: ``net`` = "ResNet", ``net/ResNet/depth`` = 3.

    Args:
        *choices: the choices; a single list, tuple, range or array holds them all, and a single
            mapping names them.
        default: one of the choices, or its name; the first if None.

    Raises:
        SpaceError: no choices, the same one twice, or a default that is none of them.

    Example:
        >>> Categorical("relu", (3, 3), math.inf).names
        ('relu', '(3, 3)', 'inf')
    """

    choices: tuple[Any, ...]
    names: tuple[Value, ...]
    default: Value

    def __init__(self, *choices: Any, default: Any = None) -> None:
        keys: tuple[Value, ...] | None = None
        if len(choices) == 1 and isinstance(choices[0], Mapping):
            keys, choices = _named(choices[0])
        elif len(choices) == 1 and isinstance(choices[0], list | tuple | range | np.ndarray):
            choices = tuple(choices[0])
        if not choices:
            raise SpaceError("Categorical needs at least one choice")
        choices = tuple(_plain_scalar(detach(c)) for c in choices)
        object.__setattr__(self, "choices", choices)
        object.__setattr__(self, "names", keys or _unique_names(choices))
        object.__setattr__(self, "default", self._find_default(default))

    def _find_default(self, default: Any) -> Value:
        if default is None:
            return self.names[0]
        position = self.index(_plain_scalar(default))
        if position is not None:
            return self.names[position]
        for name, choice in zip(self.names, self.choices, strict=True):
            if same(choice, default):
                return name
        raise SpaceError(f"Categorical: default {self.check(default)}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Categorical):
            return NotImplemented
        return (
            len(self.names) == len(other.names)
            and all(map(same, self.names, other.names))
            and same(self.default, other.default)
            and all(map(same, self.choices, other.choices))
        )

    def __hash__(self) -> int:
        return hash((self.names, self.default))

    def __repr__(self) -> str:
        shown = [*map(repr, self.choices)]
        if not same(self.default, self.names[0]):
            shown.append(f"default={self.default!r}")
        return f"Categorical({', '.join(shown)})"

    @property
    def size(self) -> int:
        """The number of choices, whatever they hold."""
        return len(self.names)

    def values(self) -> Iterator[Value]:
        """What can stand in a config, in the order of the choices."""
        return iter(self.names)

    @property
    def flat(self) -> Categorical:
        """The same choices as a config shows them: scalars only."""
        return Categorical(self.names, default=self.default)

    def index(self, value: object) -> int | None:
        """The position of a config's value; None if it is none of them. True is not 1 here."""
        for position, name in enumerate(self.names):
            if same(name, value):
                return position
        return None

    def check(self, value: object) -> str | None:
        """What is wrong with a config's value."""
        if self.index(value) is not None:
            return None
        shown = ", ".join(repr(n) for n in self.names[:20]) + (", ..." if self.size > 20 else "")
        return f"must be one of {shown}, got {value!r}"

    def to_unit(self, value: object) -> float:
        """The centre of the choice's bin."""
        position = self.index(value)
        if position is None:
            raise SpaceError(f"Categorical: value {self.check(value)}")
        return to_bin(position, self.size)

    def from_unit(self, point: float) -> Value:
        """The choice whose bin holds the point."""
        return self.names[from_bin(point, self.size)]


def same(a: object, b: object) -> bool:
    """Equal and of one type, so that 1, 1.0 and True differ; other objects by identity."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    try:
        return bool(a == b)
    except (TypeError, ValueError, RuntimeError):  # arrays and the like have no single answer
        return False


def _plain_scalar(choice: Any) -> Any:
    """Numpy's scalars as Python's, which JSON knows; everything else as it is."""
    return choice.item() if isinstance(choice, np.generic) else choice


def _is_json_scalar(choice: object) -> bool:
    if isinstance(choice, float):
        return type(choice) is float and math.isfinite(choice)
    return choice is None or type(choice) in (int, bool, str)


def _named(mapping: Mapping[Any, Any]) -> tuple[tuple[Value, ...], tuple[Any, ...]]:
    for key in mapping:
        if not isinstance(key, str) or not key:
            raise SpaceError(f"Categorical: a mapping names its choices with strings, got {key!r}")
    return tuple(str(k) for k in mapping), tuple(mapping.values())


def _unique_names(choices: tuple[Any, ...]) -> tuple[Value, ...]:
    """A config value for each choice; scalars keep theirs, so they are dealt out first."""
    names: dict[int, Value] = {}
    taken: set[str] = set()
    for position, choice in enumerate(choices):
        if _is_json_scalar(choice):
            if any(same(choice, other) for other in names.values()):
                raise SpaceError(f"Categorical: choice {choice!r} is given twice")
            names[position] = choice
            if isinstance(choice, str):
                taken.add(choice)
    for position, choice in enumerate(choices):
        if position not in names:
            base = name = choice_name(choice)
            count = 1
            while name in taken:
                count += 1
                name = f"{base}#{count}"
            taken.add(name)
            names[position] = name
    return tuple(names[position] for position in range(len(choices)))


def choice_name(choice: object) -> str:
    """What a choice that is no JSON scalar is called in configs; the same in every process."""
    if isinstance(choice, enum.Enum):
        return choice.name
    if isinstance(choice, functools.partial):
        return choice_name(choice.func)
    name = getattr(choice, "__name__", None)
    if isinstance(name, str):
        return name
    text = repr(choice) if _has_stable_repr(choice) else ""
    return text if 0 < len(text) <= MAX_NAME else type(choice).__name__


def _has_stable_repr(value: object) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_has_stable_repr, value))
    if isinstance(value, dict):
        return all(_has_stable_repr(k) and _has_stable_repr(v) for k, v in value.items())
    return value is None or type(value) in (int, bool, str, float)
