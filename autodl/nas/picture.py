"""What a drawing of an architecture shows, as data: cells as graphs, and rows of layers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow.

    Attributes:
        source: name of a node.
        target: name of a node.
        text: the operation on it; empty: the tensor as it is.
    """

    source: str
    target: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Graph:
    """A cell.

    Attributes:
        title: above it.
        nodes: names, inputs first, each after all that it reads.
        edges: arrows between them.
    """

    title: str
    nodes: tuple[str, ...]
    edges: tuple[Edge, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One layer of a row.

    Attributes:
        name: of the layer.
        text: what was chosen for it.
        group: layers of one group (a stage) get one colour.
    """

    name: str
    text: str
    group: str = ""


@dataclass(frozen=True, slots=True)
class Chain:
    """Layers one after another.

    Attributes:
        title: above them.
        steps: input side first.
        skips: (from, to) positions of steps that are joined besides; -1 is the input.
    """

    title: str
    steps: tuple[Step, ...]
    skips: tuple[tuple[int, int], ...] = ()


Picture = Graph | Chain
