"""A search space as searchers see it: a flat list of parameters, some of them conditional."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from autodl.errors import ConfigError, SpaceError
from autodl.spaces.base import Config, Space, Value
from autodl.spaces.nested import Conditions, Dict, as_composite, build, join, walk
from autodl.spaces.parameters import Parameter, count_configs, enumerate_configs
from autodl.spaces.serial import parameters_from_json, parameters_to_json

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Parameter", "SearchSpace"]

MAX_PROBLEMS = 20  # shown in one message


class SearchSpace:
    """What configs are drawn from, checked against and built with.

    Args:
        root: a mapping of spaces and constants, any space, or a decorated object.

    Raises:
        SpaceError: two parameters share a label.

    Example:
        >>> from autodl.spaces import Categorical, Int, Real, SearchSpace
        >>> space = SearchSpace({"lr": Real(0.01, 1, log=True), "net": Categorical("mlp", [Int(1, 9)])})
        >>> space.default
        {'lr': 0.1, 'net': 'mlp'}
    """

    parameters: tuple[Parameter, ...]
    root: Any

    def __init__(self, root: Mapping[str, Any] | Space | list[Any] | tuple[Any, ...]) -> None:
        if isinstance(root, Mapping):
            root = Dict(root)
        if not isinstance(root, Space | list | tuple):
            raise SpaceError(f"a search space is a mapping or a space, got {root!r}")
        self._set(root, tuple(Parameter(*entry) for entry in walk(root, "")))

    def _set(self, root: Any, parameters: tuple[Parameter, ...]) -> None:
        self.root = root
        self.parameters = parameters
        self._by_label = {p.label: p for p in parameters}
        if len(self._by_label) < len(parameters):
            labels = [p.label for p in parameters]
            doubled = sorted({label for label in labels if labels.count(label) > 1})
            raise SpaceError(f"labels must differ; rename keys that give one label twice: {doubled}")

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, those of inactive branches included; parents before children."""
        return tuple(self._by_label)

    def __getitem__(self, label: str) -> Parameter:
        return self._by_label[label]

    def __contains__(self, label: object) -> bool:
        return label in self._by_label

    def __len__(self) -> int:
        return len(self.parameters)

    def __eq__(self, other: object) -> bool:
        """Equal parameters: equal configs are valid. What they build may differ."""
        return self.parameters == other.parameters if isinstance(other, SearchSpace) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.parameters)

    def __repr__(self) -> str:
        lines = [f"  {p.label}: {p.domain!r}{_when(p.conditions)}" for p in self.parameters]
        return "\n".join(["SearchSpace(", *lines, ")"])

    # Configs

    @property
    def default(self) -> Config:
        """Every active parameter's default."""
        return self._fill({})

    def sample(self, rng: np.random.Generator, *, given: Mapping[str, Value] | None = None) -> Config:
        """A config drawn uniformly: choices first, then what is active under them.

        Args:
            rng: where draws come from.
            given: values that are not drawn, taken as they are; those of labels that turn out
                inactive are left out. Parts of any config of this space do.
        """
        fixed = given or {}
        config: Config = {}
        for parameter in self.parameters:
            if parameter.is_active(config):
                label = parameter.label
                config[label] = fixed[label] if label in fixed else parameter.domain.sample(rng)
        return config

    def _fill(self, given: Mapping[str, Value]) -> Config:
        config: Config = {}
        for p in self.parameters:
            if p.is_active(config):
                config[p.label] = given.get(p.label, p.domain.default)
        return config

    def complete(self, config: Mapping[str, Any]) -> Config:
        """A valid config from a partial one: defaults fill the gaps, numpy's scalars become Python's.

        Raises:
            ConfigError: a label is unknown or inactive, or a value is not allowed.
        """
        if not isinstance(config, Mapping):
            raise ConfigError(f"a config is a mapping of labels to values, got {type(config).__name__}")
        plain = {k: v.item() if isinstance(v, np.generic) else v for k, v in config.items()}
        full = self._fill(plain)
        self.validate(full | {k: v for k, v in plain.items() if k not in full})
        return full

    def validate(self, config: Mapping[str, Value]) -> None:
        """Check that a config belongs to this space.

        Raises:
            ConfigError: it does not; the message lists every problem.
        """
        if not isinstance(config, Mapping):
            raise ConfigError(f"a config is a mapping of labels to values, got {type(config).__name__}")
        problems = list(self._problems(config))
        if problems:
            shown = [f"  {p}" for p in problems[:MAX_PROBLEMS]]
            if len(problems) > MAX_PROBLEMS:
                shown.append(f"  and {len(problems) - MAX_PROBLEMS} more")
            count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
            raise ConfigError("\n".join([f"the config does not fit the search space, {count}:", *shown]))

    def _problems(self, config: Mapping[str, Value]) -> Iterator[str]:
        for p in self.parameters:
            active = p.is_active(config)
            if active and p.label not in config:
                yield f"{p.label}: missing"
            elif active:
                problem = p.domain.check(config[p.label])
                if problem:
                    yield f"{p.label}: {problem}"
            elif p.label in config:
                yield f"{p.label}: not active here, it belongs{_when(p.conditions)}"
        for label in config:
            if label not in self._by_label:
                near = difflib.get_close_matches(str(label), self.labels, n=1)
                yield f"{label}: unknown label" + (f"; did you mean {near[0]!r}?" if near else "")

    @property
    def size(self) -> int | None:
        """The number of different configs; None: infinitely many."""
        return count_configs(self.parameters)

    def enumerate(self) -> Iterator[Config]:
        """All configs of a finite space, one at a time, the last label changing fastest.

        Raises:
            SpaceError: the space is infinite; names the parameters that make it so.
        """
        return enumerate_configs(self.parameters)

    # Building

    def build(self, config: Mapping[str, Value]) -> Any:
        """The objects of a config, in the shape of the root.

        Raises:
            ConfigError: the config does not belong to this space.
            SpaceError: the space came from JSON, which holds no objects.
        """
        self._check_buildable()
        self.validate(config)
        return build(self.root, "", dict(config))

    def build_part(self, config: Mapping[str, Value], key: str, /, **extra: Any) -> Any:
        """Only what stands under one key of the root, for objects that are built when needed.

        Args:
            config: a valid config of the whole space.
            key: a key of the root.
            **extra: keyword arguments for the decorated object found there, where it takes them.
        """
        self._check_buildable()
        composite = as_composite(self.root)
        parts = dict(composite.children()) if composite else {}
        if key not in parts:
            raise SpaceError(f"the search space has no part {key!r}; it has {', '.join(parts)}")
        return build(parts[key], join("", key), dict(config), extra)

    def _check_buildable(self) -> None:
        if self.root is None:
            raise SpaceError("this search space came from JSON: it can check configs, not build objects")

    # JSON

    def to_json(self) -> dict[str, Any]:
        """Parameters and conditions as JSON-able data; what configs build is not part of it."""
        return parameters_to_json(self.parameters)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The space that `to_json` wrote; `build` needs the original.

        Raises:
            SpaceError: the data is damaged or of a newer version.
        """
        parameters = parameters_from_json(data)
        space = cls.__new__(cls)
        space._set(None, parameters)
        return space


def _when(conditions: Conditions) -> str:
    return "".join(f" {'where' if i == 0 else 'and'} {c[0]} = {c[1]!r}" for i, c in enumerate(conditions))
