"""Spaces that hold spaces, and what is common to walking and building them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

from autodl.errors import ConfigError, SpaceError
from autodl.spaces.base import Config, Domain, Space, Value, detach
from autodl.spaces.categorical import Categorical

Conditions = tuple[tuple[str, Value], ...]


class Composite(Space):
    """A space of named parts, put together from their values."""

    __slots__ = ()

    def children(self) -> tuple[tuple[str, Any], ...]:
        """(key, part) pairs; a part is a space, a container of spaces or a constant."""
        raise NotImplementedError

    def assemble(self, values: dict[str, Any], extra: Mapping[str, Any]) -> Any:
        """The built object.

        Args:
            values: a built value for each key of `children`, in order.
            extra: more keyword arguments, for decorated objects that take them.
        """
        raise NotImplementedError


@final
@dataclass(frozen=True, slots=True, init=False)
class Dict(Composite):
    """Named spaces and constants; builds to a plain dict.

    Args:
        mapping: keys that are no identifiers, if any.
        **spaces: a space or a constant for each key.

    Example:
        >>> Dict(lr=Categorical(0.1, 0.2), epochs=3)["epochs"]
        3
    """

    items: tuple[tuple[str, Any], ...]

    def __init__(self, mapping: Mapping[str, Any] | None = None, /, **spaces: Any) -> None:
        merged = {**(mapping or {}), **spaces}
        for key in merged:
            check_key(key, "Dict")
        object.__setattr__(self, "items", tuple((k, detach(v)) for k, v in merged.items()))

    def __getitem__(self, key: str) -> Any:
        return dict(self.items)[key]

    def __len__(self) -> int:
        return len(self.items)

    def __hash__(self) -> int:
        return hash(tuple(k for k, _ in self.items))  # constants may have no hash

    def __repr__(self) -> str:
        return f"Dict({', '.join(f'{k}={v!r}' for k, v in self.items)})"

    def children(self) -> tuple[tuple[str, Any], ...]:
        """The items."""
        return self.items

    def assemble(self, values: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
        """A new dict."""
        return values


@final
@dataclass(frozen=True, slots=True, init=False)
class List(Composite):
    """Spaces and constants in a row; builds to a plain list. Labels are positions from 0.

    Args:
        *spaces: the elements; a single list or tuple holds them all.
    """

    elements: tuple[Any, ...]

    def __init__(self, *spaces: Any) -> None:
        if len(spaces) == 1 and type(spaces[0]) in (list, tuple):
            spaces = tuple(spaces[0])
        object.__setattr__(self, "elements", tuple(map(detach, spaces)))

    def __getitem__(self, position: int) -> Any:
        return self.elements[position]

    def __len__(self) -> int:
        return len(self.elements)

    def __hash__(self) -> int:
        return hash(len(self.elements))

    def __repr__(self) -> str:
        return f"List({', '.join(map(repr, self.elements))})"

    def children(self) -> tuple[tuple[str, Any], ...]:
        """The elements, keyed "0", "1", ..."""
        return tuple((str(i), element) for i, element in enumerate(self.elements))

    def assemble(self, values: dict[str, Any], extra: Mapping[str, Any]) -> list[Any]:
        """A new list."""
        return list(values.values())


@final
@dataclass(frozen=True, slots=True)
class _Row(Composite):
    """A plain tuple or named tuple that holds spaces; builds to its own type."""

    original: tuple[Any, ...]

    def children(self) -> tuple[tuple[str, Any], ...]:
        return tuple((str(i), part) for i, part in enumerate(self.original))

    def assemble(self, values: dict[str, Any], extra: Mapping[str, Any]) -> tuple[Any, ...]:
        make = getattr(type(self.original), "_make", tuple)
        row: tuple[Any, ...] = make(values.values())
        return row


def check_key(key: object, owner: str) -> None:
    """Refuse keys that cannot be part of a label."""
    if not isinstance(key, str) or not key:
        raise SpaceError(f"{owner}: keys must be non-empty strings, got {key!r}")


def holds_space(value: object) -> bool:
    """True for a space and for a plain dict, list or tuple with one somewhere inside."""
    if isinstance(value, dict):
        return any(map(holds_space, value.values()))
    if isinstance(value, list | tuple):
        return any(map(holds_space, value))
    return isinstance(value, Space)


def as_composite(value: object) -> Composite | None:
    """The composite that a value is or stands for; None for domains and constants."""
    if isinstance(value, Composite):
        return value
    if isinstance(value, dict | list | tuple) and holds_space(value):
        if isinstance(value, dict):
            return Dict(value)
        return _Row(value) if isinstance(value, tuple) else List(value)
    return None


def fresh(constant: Any) -> Any:
    """A constant that two built objects can use without sharing state.

    Plain containers are copied, and so is what carries a ``state_dict`` (networks): a second
    trial in the same process would go on with the first one's weights. Arrays, data sets and
    other objects are passed on as they are, for they can be large.
    """
    return detach(constant, _own)


def _own(constant: Any) -> Any:
    carries_state = hasattr(constant, "state_dict") and not isinstance(constant, type | Space)
    return copy.deepcopy(constant) if carries_state else constant


def join(prefix: str, key: str) -> str:
    """The label of a part."""
    return f"{prefix}/{key}" if prefix else key


def walk(node: object, label: str, conditions: Conditions = ()) -> Iterator[tuple[str, Domain, Conditions]]:
    """(label, domain, conditions) of each parameter below a node, parents first."""
    composite = as_composite(node)
    if composite is not None:
        for key, part in composite.children():
            yield from walk(part, join(label, key), conditions)
    elif isinstance(node, Categorical):
        label = label or "value"
        yield label, node.flat, conditions
        for name, choice in zip(node.names, node.choices, strict=True):
            if holds_space(choice):
                yield from walk(choice, join(label, str(name)), (*conditions, (label, name)))
    elif isinstance(node, Domain):
        yield label or "value", node, conditions


def build(node: object, label: str, config: Config, extra: Mapping[str, Any] | None = None) -> Any:
    """The object that a node is under a config.

    Args:
        node: a space, a container of spaces or a constant.
        label: the node's own label; "" for the root.
        config: a valid config of the whole space.
        extra: keyword arguments for the decorated object that the node is, where it takes them.

    Raises:
        ConfigError: the config lacks an active label or holds a choice that does not exist.
    """
    composite = as_composite(node)
    if composite is not None:
        values = {key: build(part, join(label, key), config) for key, part in composite.children()}
        return composite.assemble(values, extra or {})
    if not isinstance(node, Domain):
        return fresh(node)
    label = label or "value"
    if label not in config:
        raise ConfigError(f"config lacks {label!r}")
    if not isinstance(node, Categorical):
        return config[label]
    position = node.index(config[label])
    if position is None:
        raise ConfigError(f"config: {label!r} {node.check(config[label])}")
    return build(node.choices[position], join(label, str(node.names[position])), config, extra)
