"""The harness's neutral space as a nested space of autodl, and configs there and back.

A parameter on which others depend becomes a choice of branches, one for each set of dependents, as
a user of nested spaces would write it: ``n_layers`` of 1, 2 or 3 with ``units2`` from 2 on is a choice
of "1" (nothing more) and "2-3" (``n_layers`` in 2..3, ``units2``).
"""

from __future__ import annotations

import os
from typing import Any

from autodl.spaces import Categorical, Dict, Int, Real, SearchSpace

STYLE = os.environ.get("AUTODL_HPO_SPACE", "grouped")
"""``grouped`` (above), ``split`` (a branch for each value of the parent), ``flat`` (no conditions)."""


class Translation:
    """One neutral space, translated.

    Args:
        neutral: the harness's ``space.Space``.
        style: see `STYLE`.
    """

    def __init__(self, neutral: Any, style: str = STYLE) -> None:
        self.neutral = neutral
        self._style = style
        self._names: dict[str, str] = {}  # label -> neutral name
        self._branches: dict[str, dict[str, list[Any]]] = {}  # label of a choice of branches -> values
        tops = [p for p in neutral if p.when is None or style == "flat"]
        self.space = SearchSpace(Dict({p.name: self._node(p, p.name) for p in tops}))

    def to_neutral(self, config: dict[str, Any]) -> dict[str, Any]:
        """The harness's active parameters of our config."""
        out = {}
        for label, value in config.items():
            values = self._branches[label][value] if label in self._branches else [value]
            if len(values) == 1:  # else the branch holds the value itself, under another label
                out[self._names[label]] = values[0]
        return self.neutral.prune(out)

    def from_neutral(self, flat: dict[str, Any]) -> dict[str, Any]:
        """Our config of the harness's."""
        config: dict[str, Any] = {}
        for parameter in self.space.parameters:
            if parameter.is_active(config):
                label = parameter.label
                value = flat[self._names[label]]
                if label in self._branches:
                    value = next(b for b, values in self._branches[label].items() if value in values)
                config[label] = value
        return config

    def _node(self, p: Any, label: str) -> Any:
        self._names[label] = p.name
        children = [c for c in self.neutral if c.when is not None and c.when[0] == p.name]
        if not children or self._style == "flat":
            return self._domain(p, None)
        branches = self._grouped(p, children)
        self._branches[label] = {name: values for name, (values, _) in branches.items()}
        return Categorical(
            {n: self._branch(p, values, kids, f"{label}/{n}") for n, (values, kids) in branches.items()}
        )

    def _grouped(self, p: Any, children: list[Any]) -> dict[str, tuple[list[Any], list[Any]]]:
        """Values of a parent by the dependents they bring."""
        values = list(p.choices) if hasattr(p, "choices") else list(range(p.lo, p.hi + 1))
        groups: dict[Any, tuple[list[Any], list[Any]]] = {}
        for value in values:
            kids = [c for c in children if value in c.when[1]]
            key = tuple(c.name for c in kids) if self._style == "grouped" else value
            groups.setdefault(key, ([], kids))[0].append(value)
        return {"-".join(map(str, {v[0]: 0, v[-1]: 0})): (v, kids) for v, kids in groups.values()}

    def _branch(self, p: Any, values: list[Any], kids: list[Any], label: str) -> Any:
        inner = {c.name: self._node(c, f"{label}/{c.name}") for c in kids}
        if len(values) > 1:
            self._names[f"{label}/{p.name}"] = p.name
            inner = {p.name: self._domain(p, values), **inner}
        return Dict(inner)

    def _domain(self, p: Any, values: list[Any] | None) -> Any:
        if hasattr(p, "choices"):
            return Categorical(*(values or p.choices))
        if type(p).__name__ == "Real":
            return Real(p.lo, p.hi, log=p.log)
        if values is None or values == list(range(values[0], values[-1] + 1)):
            return Int(*((p.lo, p.hi) if values is None else (values[0], values[-1])), log=p.log)
        return Categorical(*values)
