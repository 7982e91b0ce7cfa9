"""``architecture.json``: which architecture a run trains, how it was found, and the search's course."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from autodl.nas import Arch
from autodl.tasks.run_record import read_record, write_record

FILE = "architecture.json"
VERSION = 1


@dataclass(frozen=True, slots=True)
class ArchStep:
    """One step of a search.

    Attributes:
        seconds: since it began.
        metric: of the architecture, as the strategy measures it; None: not measured.
        cost: of the architecture; None: not asked for.
        arch: None for a step that is about no single architecture.
    """

    seconds: float
    metric: float | None
    cost: float | None
    arch: Arch | None = None


@dataclass(frozen=True, slots=True)
class ArchRecord:
    """The architecture of a run.

    Attributes:
        strategy: that searched it.
        space: what it was searched in, for people.
        arch: the architecture.
        size: architectures of the space.
        metric: of the architecture, as the strategy measured it.
        cost: of the architecture; None: not asked for.
        cost_name: "params", "macs", "latency" or the caller's own; None: not asked for.
        target: the cost that was aimed at, if one was.
        parameters: learned values of the network.
        seconds: wall-clock seconds that the search took.
        steps: the search's course.
    """

    strategy: str
    space: str
    arch: Arch
    size: int
    metric: float | None
    cost: float | None
    cost_name: str | None
    target: float | None
    parameters: int
    seconds: float
    steps: tuple[ArchStep, ...] = ()

    @property
    def front(self) -> tuple[ArchStep, ...]:
        """The steps that no other beats in both metric and cost, cheapest first."""
        judged = [s for s in self.steps if s.arch and s.metric is not None and s.cost is not None]
        best: list[ArchStep] = []
        for step in sorted(judged, key=lambda s: (s.cost, -(s.metric or 0.0))):
            if not best or (step.metric or 0.0) > (best[-1].metric or 0.0):
                best.append(step)
        return tuple(best)

    def summary(self) -> dict[str, Any]:
        """Plain values, without the course."""
        return {k: v for k, v in asdict(self).items() if k != "steps"}

    def words(self) -> str:
        """The search in a sentence."""
        cost = "" if self.cost is None else f", {self.cost_name} {self.cost:,.4g}"
        return (
            f"{self.strategy} searched {self.space} ({self.size:.3g} architectures) in {self.seconds:.0f} s: "
            f"a network of {self.parameters:,} parameters{cost}"
        )

    def write(self, run: Path) -> None:
        """Keep the record in a run's directory."""
        write_record(run / FILE, VERSION, asdict(self))

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The inverse of what `write` keeps."""
        values = {name: document[name] for name in cls.__slots__ if name != "steps"}
        return cls(**values, steps=tuple(ArchStep(**step) for step in document["steps"]))

    @classmethod
    def read(cls, run: Path) -> Self | None:
        """The record of a run; None where none was written.

        Raises:
            JournalError: the file is damaged, or from a newer version.
        """
        return read_record(run / FILE, VERSION, cls.from_json)
