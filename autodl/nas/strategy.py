"""What every strategy takes and keeps: a budget, a history, callbacks, and a state to resume from."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, runtime_checkable

import torch

from autodl.checks import check_whole
from autodl.errors import JournalError, OptionError, RunExistsError
from autodl.models.weights_io import write_atomically
from autodl.nas.data import NASData
from autodl.nas.decisions import Arch
from autodl.nas.evaluators import Evaluator
from autodl.nas.objectives import Objective
from autodl.nas.result import NASResult, Record
from autodl.nas.space import Space
from autodl.timelimit import parse_time_limit

if TYPE_CHECKING:
    from autodl.nas.costs import Cost

Callback = Callable[[Record], object]
"""Gets every record; returning True ends the search."""

STATE_NAME = "state.pt"


@dataclass(frozen=True, slots=True)
class Budget:
    """How long a search goes on.

    Args:
        units: of the strategy: architectures evaluated, or epochs of a super-net. None: as many as the
            time allows, or the strategy's default if there is no time limit.
        seconds: and no longer than this; None: as long as it takes.
    """

    units: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.units is not None:
            check_whole("units", self.units)
        if self.seconds is not None and not self.seconds > 0:
            raise OptionError(f"seconds must be above 0, got {self.seconds!r}")

    @classmethod
    def of(cls, budget: Budget | int | str | timedelta | None) -> Budget:
        """A budget from a number of units, or a time ("10min")."""
        if isinstance(budget, Budget):
            return budget
        if budget is None or isinstance(budget, int):
            return cls(budget)
        return cls(None, parse_time_limit(budget))


class RunSettings(TypedDict, total=False):
    """What `Strategy.search` hands on to `Run`; see there."""

    budget: Budget | int | str | None
    seed: int
    callbacks: Sequence[Callback]
    path: str | Path | None
    resume: bool


@runtime_checkable
class Strategy(Protocol):
    """A method that searches a space."""

    def search(  # noqa: PLR0913  # a facade; all but the first two have working defaults
        self,
        space: Space,
        data: NASData | Evaluator,
        *,
        objective: Objective | None = None,
        cost: Cost | None = None,
        budget: Budget | int | str | None = None,
        seed: int = 0,
        callbacks: Sequence[Callback] = (),
        path: str | Path | None = None,
        resume: bool = False,
    ) -> NASResult:
        """Search.

        Args:
            space: of architectures.
            data: images, or what evaluates architectures.
            objective: metric and cost in one number; None: the metric alone.
            cost: what an architecture costs, for objectives that count it.
            budget: units of the strategy, a time, or both.
            seed: of everything random.
            callbacks: get every record; returning True ends the search.
            path: a directory for the state and, at the end, the result.
            resume: go on from the state there, if there is one.

        Raises:
            RunExistsError: there is a state at the path, and ``resume`` is False.
        """


class Run:
    """One search in the making: what strategies share.

    Args:
        name: of the strategy.
        budget: what the user gave.
        default_units: where that names neither units nor a time.
        seed: of the search.
        callbacks: of the user.
        path: directory for the state, or None.
        resume: whether to go on from there.

    Attributes:
        units: of the budget, or the default.
        seconds: of the budget; None: no time limit.
        is_timed: the time alone is the limit, however many units it takes.
        history: records so far, those of a resumed search included.
        restored: the strategy's state that the search goes on from; None: it starts.

    Example::

        run = Run("mine", default_units=100, **settings)
        for step in run.steps():
            ...
            run.record(arch, metric, cost)
            run.save(lambda: {"controller": controller.state_dict()})
        return run.result(best_arch, net)
    """

    def __init__(
        self,
        name: str,
        budget: Budget | int | str | None = None,
        *,
        default_units: int,
        seed: int = 0,
        callbacks: Sequence[Callback] = (),
        path: str | Path | None = None,
        resume: bool = False,
    ) -> None:
        given = Budget.of(budget)
        self.units = given.units if given.units is not None else default_units
        self.seconds = given.seconds
        self.is_timed = given.units is None and given.seconds is not None
        self.name, self.seed, self.callbacks = name, seed, tuple(callbacks)
        self.path = None if path is None else Path(path).expanduser()
        self.history: list[Record] = []
        self.stopped_by = "budget"
        self.restored: dict[str, Any] | None = None
        self._done = 0
        self._before = 0.0
        self._start = time.perf_counter()
        if self.path is not None:
            self._open(self.path, resume)

    def _open(self, path: Path, resume: bool) -> None:
        file = path / STATE_NAME
        path.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            return
        if not resume:
            raise RunExistsError(f"{path} holds a search already; pass resume=True, or name another path")
        kept = torch.load(file, map_location="cpu", weights_only=True)
        if (kept["name"], kept["seed"]) != (self.name, self.seed):
            raise JournalError(
                f"{path} holds a search by {kept['name']!r} with seed {kept['seed']}, "
                f"not by {self.name!r} with seed {self.seed}"
            )
        self.history = [Record(**record) for record in kept["history"]]
        self.restored, self._done, self._before = kept["state"], kept["done"], kept["elapsed"]

    @property
    def elapsed(self) -> float:
        """Seconds since the search began, those before it was resumed included."""
        return self._before + time.perf_counter() - self._start

    @property
    def progress(self) -> float:
        """The share of the budget that is spent, 0..1; see `spent`."""
        return self.spent(self._done)

    def spent(self, units: float, time_share: float = 1.0) -> float:
        """The share of the budget, 0..1, that is spent after so many units: what schedules follow.

        Args:
            units: that are done, parts of one included; a budget of time alone does not count them.
            time_share: of the time limit that is there to be spent.
        """
        share = 0.0 if self.is_timed else units / self.units
        if self.seconds is not None:
            share = max(share, self.elapsed / (time_share * self.seconds))
        return min(1.0, share)

    @property
    def is_over(self) -> bool:
        """Whether the time is up or somebody ended the search; for loops within a step."""
        return self.ends(1.0)

    def ends(self, time_share: float) -> bool:
        """Whether a phase of the search must end, which may last to this share of the time limit.

        Args:
            time_share: of the limit, counted from the start of the search; what is left is for later phases.
        """
        if self.stopped_by not in ("budget", "time"):
            return True
        if self.seconds is None or self.elapsed < time_share * self.seconds:
            return False
        self.stopped_by = "time"
        return True

    def steps(self, time_share: float = 1.0) -> Iterator[int]:
        """Numbers of the units that are left to do; one at least in a new search.

        Args:
            time_share: of the time limit, that they may take; see `ends`.
        """
        while (self.is_timed or self._done < self.units) and not (self._done and self.ends(time_share)):
            yield self._done
            self._done += 1

    def record(
        self, arch: Arch | None, metric: float | None = None, cost: float | None = None, **extra: Any
    ) -> Record:
        """Note a step, and tell the callbacks."""
        made = Record(len(self.history), arch, metric, cost, self.elapsed, extra)
        self.history.append(made)
        for callback in self.callbacks:
            if callback(made) is True:
                self.stopped_by = "callback"
        return made

    def save(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """Keep the state after the present unit, in place of the last one; nothing without a path.

        Args:
            state: gives tensors and plain values, generators' states included.
        """
        if self.path is None:
            return
        kept = {
            "name": self.name,
            "seed": self.seed,
            "history": [asdict(record) for record in self.history],
            "state": dict(state()),
            "done": self._done + 1,
            "elapsed": self.elapsed,
        }
        written = io.BytesIO()
        torch.save(kept, written)
        write_atomically(self.path / STATE_NAME, written.getvalue())

    def result(self, best_arch: Arch, net: torch.nn.Module | None = None, **more: Any) -> NASResult:
        """The result; written to the path, too.

        Args:
            best_arch: the architecture.
            net: the derived network.
            **more: ``probabilities``, ``metric``, ``cost``.
        """
        made = NASResult(best_arch, self.history, net, **more)
        made.strategy, made.seed, made.seconds = self.name, self.seed, self.elapsed
        made.stopped_by = self.stopped_by
        if self.path is not None:
            made.save(self.path)
        return made
