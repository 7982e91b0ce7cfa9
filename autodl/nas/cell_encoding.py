"""Cells as vectors that a surrogate learns fast from: what their paths do, not which edge does it.

Sources: C. White, W. Neiswanger, Y. Savani, "BANANAS: Bayesian Optimization with Neural
Architectures for Neural Architecture Search" (AAAI 2021), section 3, for paths from input to
output as features. We depart in three points: paths are counted rather than present or absent,
skip connections are left out of a path (they do nothing), and summaries of the live part of the
cell stand beside them. Cells that are the same network up to the order of nodes and sums share
one vector but for their skip connections.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autodl.checks import check_whole
from autodl.errors import ConfigError, OptionError

__all__ = ["CellEncoding"]

_Array = NDArray[np.float64]


class CellEncoding:
    """Encodes cells whose operations sit on the edges of a small acyclic graph.

    Args:
        edges: label -> (from, to); node numbers rise along an edge. Node 0 is the input, the highest
            one the output.
        ops: names of the operations that compute something ("conv3", "pool", ...).
        skip: operation that passes its input on.
        none: operation that cuts the edge.

    Attributes:
        groups: (features,), which length scale of a GP each feature uses: one for the paths of each
            length, one for each summary.

    Raises:
        OptionError: an edge leads nowhere, or there are no operations.

    Example:
        >>> encoding = CellEncoding({"a": (0, 1), "b": (1, 2), "c": (0, 2)}, ["conv", "pool"])
        >>> first = encoding({"a": "conv", "b": "skip_connect", "c": "none"})
        >>> second = encoding({"a": "skip_connect", "b": "conv", "c": "none"})
        >>> bool((first == second).all())
        True
    """

    def __init__(
        self,
        edges: Mapping[str, tuple[int, int]],
        ops: Sequence[str],
        *,
        skip: str = "skip_connect",
        none: str = "none",
    ) -> None:
        if not ops or any(start >= end for start, end in edges.values()):
            raise OptionError("a cell needs operations, and edges from lower to higher nodes")
        self.edges, self.ops, self.skip, self.none = dict(edges), tuple(ops), skip, none
        self.paths = _paths(self.edges)
        if not self.paths:
            raise OptionError(f"no path leads from node 0 to the last one over {self.edges}")
        self._longest = max(len(path) for path in self.paths)
        words = [w for k in range(self._longest + 1) for w in itertools.product(self.ops, repeat=k)]
        self._word = {word: column for column, word in enumerate(words)}
        lengths = [len(word) for word in words]
        summaries = len(self.ops) + 4
        first = self._longest + 1
        self.groups = np.array([*lengths, *range(first, first + summaries)], dtype=np.intp)

    def __call__(self, arch: Mapping[str, Any]) -> _Array:
        """The vector of a cell: (features,).

        Raises:
            ConfigError: an edge's operation is missing or unknown.
        """
        known = {*self.ops, self.skip, self.none}
        wrong = {label: arch.get(label) for label in self.edges if arch.get(label) not in known}
        if wrong:
            raise ConfigError(f"each edge needs one of {sorted(known)}; got {wrong}")
        counts = np.zeros(len(self._word))
        live: set[str] = set()
        depths: list[int] = []
        for path in self.paths:
            ops = [arch[label] for label in path]
            if self.none in ops:
                continue
            live.update(path)
            word = tuple(op for op in ops if op != self.skip)
            counts[self._word[word]] += 1.0
            depths.append(len(word))
        used = [arch[label] for label in live]
        shares = [used.count(op) / len(self.edges) for op in (*self.ops, self.skip)]
        scaled = np.array(depths or [0]) / self._longest
        summary = [*shares, scaled.max(), scaled.min(), scaled.mean()]
        return np.concatenate([np.sqrt(counts), summary])

    def __repr__(self) -> str:
        return f"CellEncoding({self.edges!r}, {self.ops!r})"


def _paths(edges: Mapping[str, tuple[int, int]]) -> list[tuple[str, ...]]:
    """The labels along each way from node 0 to the last node."""
    last = max((end for _, end in edges.values()), default=0)
    check_whole("number of nodes - 1", last)
    ready: list[tuple[str, ...]] = []
    growing: list[tuple[int, tuple[str, ...]]] = [(0, ())]
    while growing:
        node, path = growing.pop()
        if node == last:
            ready.append(path)
            continue
        growing += [(end, (*path, label)) for label, (start, end) in edges.items() if start == node]
    return ready
