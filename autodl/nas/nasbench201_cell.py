"""The cells of NAS-Bench-201: strings, configs, numbers, and which of them are the same network.

Edge (i, j) leads from node i to node j; node 0 is the cell's input and node 3 its output; a node
is the sum of its edges.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from autodl.errors import ConfigError
from autodl.nas.cell_encoding import CellEncoding
from autodl.spaces import Categorical
from autodl.spaces.search_space import SearchSpace

if TYPE_CHECKING:
    from autodl.trial import Config

__all__ = [
    "EDGES",
    "LABELS",
    "OPS",
    "Arch",
    "as_config",
    "encoding",
    "enumerate_cells",
    "network_key",
    "number_of",
    "search_space",
    "to_string",
]

OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""In the order of the benchmark's strings."""
LABELS = tuple(f"edge_{i}_{j}" for i, j in EDGES)
SIZE = len(OPS) ** len(EDGES)

Arch = Mapping[str, Any] | str | int
"""A config (label -> operation), the benchmark's string, or the number that `number_of` gives."""

_PART = re.compile(r"\|?([a-z0-9_]+)~(\d)\|")
_INDEX = {op: index for index, op in enumerate(OPS)}


def search_space() -> SearchSpace:
    """Six choices of five operations, for any searcher.

    Example:
        >>> search_space().size
        15625
    """
    return SearchSpace({label: Categorical(*OPS) for label in LABELS})


def encoding() -> CellEncoding:
    """How surrogates best see these cells.

    Example:
        >>> encoding()(as_config(0)).shape
        (47,)
    """
    return CellEncoding(dict(zip(LABELS, EDGES, strict=True)), OPS[2:])


def as_config(arch: Arch) -> Config:
    """The flat config of an architecture.

    Raises:
        ConfigError: not a cell of this space; the message says what is wrong.

    Example:
        >>> as_config("|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|")["edge_0_3"]
        'skip_connect'
    """
    if isinstance(arch, str):
        ops = _parsed(arch)
    elif isinstance(arch, Mapping):
        ops = _checked(arch)
    else:
        ops = _unpacked(arch)
    return dict(zip(LABELS, ops, strict=True))


def to_string(arch: Arch) -> str:
    """As the benchmark writes it: ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``."""
    config = as_config(arch)
    nodes = [
        "|" + "".join(f"{config[f'edge_{i}_{j}']}~{i}|" for i, to in EDGES if to == j) for j in (1, 2, 3)
    ]
    return "+".join(nodes)


def number_of(arch: Arch) -> int:
    """A number from 0 to 15,624, the operations being digits to base 5; not the benchmark's index."""
    number = 0
    for op in as_config(arch).values():
        number = number * len(OPS) + _INDEX[str(op)]
    return number


def enumerate_cells() -> Iterator[Config]:
    """All 15,625 configs, in the order of their numbers."""
    for ops in itertools.product(OPS, repeat=len(EDGES)):
        yield dict(zip(LABELS, ops, strict=True))


def network_key(arch: Arch) -> str:
    """Equal for cells that compute the same function with the same weights.

    An edge "none", and what hangs on nothing else, adds nothing but a constant (the bias of a batch
    norm); a skip connection is the node it starts from; a sum has no order. So 15,625 cells are
    4,930 networks, fewer than by the benchmark's own key (6,466), which tells zeros apart.

    Example:
        >>> network_key("|none~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|skip_connect~2|")
        'nor_conv_3x3(0)'
    """
    config = as_config(arch)
    terms: dict[int, tuple[str, ...]] = {0: ("0",)}
    for j in (1, 2, 3):
        found: list[str] = []
        for i, to in EDGES:
            op = config[f"edge_{i}_{j}"] if to == j else "none"
            if op == "none" or not terms[i]:
                continue
            found += terms[i] if op == "skip_connect" else [f"{op}({'+'.join(terms[i])})"]
        terms[j] = tuple(sorted(found))
    return "+".join(terms[3])


def _parsed(text: str) -> list[str]:
    parts = [_PART.findall(node) for node in text.strip().split("+")]
    sources = [[source for _, source in node] for node in parts]
    if sources != [["0"], ["0", "1"], ["0", "1", "2"]]:
        raise ConfigError(f"a cell is written |op~0|+|op~0|op~1|+|op~0|op~1|op~2|, got {text!r}")
    ops = [op for node in parts for op, _ in node]
    unknown = sorted(set(ops) - set(OPS))
    if unknown:
        raise ConfigError(f"unknown operations {unknown} in {text!r}; known: {', '.join(OPS)}")
    return ops


def _checked(config: Mapping[str, Any]) -> list[str]:
    wrong = {label: config.get(label) for label in LABELS if config.get(label) not in OPS}
    extra = sorted(set(config) - set(LABELS))
    if wrong or extra:
        raise ConfigError(
            f"a cell has the labels {', '.join(LABELS)}, each one of {', '.join(OPS)}; got {wrong or extra}"
        )
    return [config[label] for label in LABELS]


def _unpacked(number: int) -> list[str]:
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < SIZE:
        raise ConfigError(f"a cell's number is from 0 to {SIZE - 1}, got {number!r}")
    digits = []
    for _ in EDGES:
        number, digit = divmod(number, len(OPS))
        digits.append(OPS[digit])
    return digits[::-1]
