"""What a training function talks to: it reports, saves, and learns when to end."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from autodl.errors import OptionError, TrialError
from autodl.executors.checkpoint import (
    CHECKPOINT_NAME,
    forget_before,
    go_back,
    load_checkpoint,
    save_checkpoint,
)
from autodl.executors.cutoff import TrialInterrupted
from autodl.executors.protocol import Decision, Job
from autodl.rng import derive_seed

Ask = Callable[[int, dict[str, float]], Decision]
"""Brings a report (resource, metrics) to the driver and returns its answer."""


class Reporter:
    """Handed to every training function.

    Save first, report second: the report may end or pause the trial, and a trial that goes on
    later starts after the last epoch that was *saved*. An epoch of an `epochs` loop that was saved
    but not reported, since its worker died between the two, is run and reported again.

    Args:
        job: the attempt this reporter serves.
        ask: brings a report to the driver, returns the answer.

    Example:
        A training function that survives a killed worker and a pausing scheduler::

            def train(config, reporter):
                net = build(config)
                if (state := reporter.load()) is not None:
                    net.load_state_dict(state)
                for epoch in reporter.epochs(10):
                    accuracy = train_one_epoch(net)
                    reporter.save(net.state_dict())
                    reporter(accuracy=accuracy)
    """

    def __init__(self, job: Job, ask: Ask) -> None:
        self._job = job
        self._ask = ask
        self._epoch: int | None = None  # of the epochs() loop that runs
        self._resource = 0  # of the last report
        self._saved: tuple[int, Any] | None = None
        self._looked = False
        self._checked = False
        self._unreported: int | None = None  # epoch of a save that no report followed yet

    @property
    def trial_id(self) -> int:
        """The trial's number, from 0."""
        return self._job.trial_id

    @property
    def attempt(self) -> int:
        """1 at first; one more each time the trial starts again after a pause or a lost worker."""
        return self._job.attempt

    @property
    def seed(self) -> int:
        """The trial's own seed: depends on (run's seed, trial_id) alone."""
        return derive_seed(self._job.seed, self._job.trial_id)

    @property
    def checkpoint_dir(self) -> Path:
        """A folder of the trial's own, the same in every attempt; made when first asked for."""
        self._job.checkpoint_dir.mkdir(parents=True, exist_ok=True)
        return self._job.checkpoint_dir

    @property
    def time_left_s(self) -> float | None:
        """Seconds until the trial is cut, 0 when it is due; None: no limit."""
        return None if self._job.deadline is None else max(0.0, self._job.deadline - time.time())

    def __call__(self, epoch: int | None = None, **metrics: Any) -> None:
        """Report metrics; may end the trial here.

        Args:
            epoch: the resource spent so far, >= 0. Left out: the `epochs` loop's epoch, else the
                number of reports so far.
            **metrics: numbers; numpy and torch scalars are converted.

        Raises:
            TrialError: a metric is not a number, or there is none.
        """
        resource = self._resource_of(epoch)
        numbers = {name: _number(name, value) for name, value in metrics.items()}
        if not numbers:
            raise TrialError("reporter() needs at least one metric: reporter(accuracy=0.9)")
        self._resource = resource
        decision = self._ask(resource, numbers)
        if self._unreported is not None:
            forget_before(self._file)
            self._unreported = None
        if decision is not Decision.CONTINUE:
            raise TrialInterrupted(decision)

    def epochs(self, total: int) -> Iterator[int]:
        """The epochs still to do: 1 to `total`, after a restart those behind the last saved one."""
        if not isinstance(total, int) or isinstance(total, bool) or total < 0:
            raise OptionError(f"reporter.epochs() needs a whole number >= 0, got {total!r}")
        saved = self._checkpoint()
        return self._epochs(saved[0] if saved else 0, total)

    def _epochs(self, done: int, total: int) -> Iterator[int]:
        self._resource = max(self._resource, done)
        try:
            for epoch in range(done + 1, total + 1):
                self._epoch = epoch
                yield epoch
        finally:
            self._epoch = None

    def save(self, state: Any) -> None:
        """Keep `state` for a later attempt, together with the epoch; replaces the one before.

        Args:
            state: tensors, arrays, numbers, strings and containers of them (``state_dict()``s).

        Raises:
            TrialError: `state` holds something that could not be loaded again.
            OSError: the disk is full; the checkpoint before stays.
        """
        epoch = self._epoch if self._epoch is not None else self._resource
        in_loop = self._epoch is not None and epoch > self._resource
        folder = self.checkpoint_dir  # makes it
        save_checkpoint(
            folder / CHECKPOINT_NAME,
            epoch,
            state,
            check=not self._checked,
            keep_before=in_loop and epoch != self._unreported,
        )
        self._checked = True
        if in_loop:
            self._unreported = epoch
        self._saved, self._looked = None, False  # not held in memory: `load` reads it again if asked

    def load(self) -> Any | None:
        """The state that an earlier attempt saved last, on the CPU; None when there is none."""
        saved = self._checkpoint()
        if saved is None:
            return None
        if self._epoch is None:
            self._resource = max(self._resource, saved[0])
        return saved[1]

    def _checkpoint(self) -> tuple[int, Any] | None:
        if not self._looked:
            self._saved = load_checkpoint(self._file)
            lost_report = self._saved is not None and self._saved[0] > self._job.done
            if lost_report and self._unreported is None:  # an earlier attempt's; see `save`
                go_back(self._file)
                self._saved = load_checkpoint(self._file)
            self._looked = True
        return self._saved

    @property
    def _file(self) -> Path:
        return self._job.checkpoint_dir / CHECKPOINT_NAME

    def _resource_of(self, epoch: int | None) -> int:
        if epoch is None:
            return self._epoch if self._epoch is not None else self._resource + 1
        try:
            resource = operator.index(epoch)
        except TypeError:
            raise TrialError(f"epoch must be a whole number, got {epoch!r}") from None
        if resource < 0:
            raise TrialError(f"epoch must be >= 0, got {epoch!r}")
        return resource


def _number(name: str, value: Any) -> float:
    """`value` as a float; numpy and torch scalars have ``item``."""
    if not isinstance(value, (int, float)):
        try:
            value = value.item()
        except (AttributeError, TypeError, ValueError, RuntimeError):
            pass  # an array of several values, or no array at all: the message below says it
    if not isinstance(value, (int, float)):
        raise TrialError(
            f"metric {name!r} must be a number (int, float, or an array or tensor of one value), "
            f"got {type(value).__name__}"
        )
    return float(value)
