"""Every error autodl raises on purpose.

Each leaf also subclasses the built-in exception a caller would expect, so that
``except ValueError`` works without knowing this module. Messages say what is wrong, where,
how many, and the way out. All arguments are positional: an exception that cannot be rebuilt
from ``args`` breaks process pools when it crosses back to the driver.
"""

from __future__ import annotations


class AutoDLError(Exception):
    """Base of all errors raised on purpose by autodl."""


class OptionError(AutoDLError, ValueError):
    """An argument has a value that is not allowed (a negative time limit, an unknown preset)."""


class UnknownNameError(OptionError):
    """A string names no known searcher, scheduler, network, metric, ...

    Args:
        kind: what was being looked up, singular ("searcher").
        name: the name that was given.
        known: the names that exist.
    """

    def __init__(self, kind: str, name: object, known: tuple[str, ...]) -> None:
        super().__init__(kind, name, known)
        self.kind, self.name, self.known = kind, name, known

    def __str__(self) -> str:
        return f"unknown {self.kind} {self.name!r}; known: {', '.join(self.known)}"


class SpaceError(AutoDLError, ValueError):
    """A search space is declared wrongly (``low`` above ``high``, ``log`` with ``low`` <= 0)."""


class ConfigError(AutoDLError, ValueError):
    """A config does not belong to the search space it is used with."""


class MissingDependencyError(AutoDLError, ImportError):
    """An optional library is not installed; the message names the extra that brings it."""


class DataError(AutoDLError, ValueError):
    """The data cannot be used as given."""


class DataNotFoundError(DataError, FileNotFoundError):
    """The data's path does not exist."""

    def __new__(cls, *args: object) -> DataNotFoundError:
        """As an OSError's: unpicklers go by name, and would find ValueError's, which refuses."""
        return FileNotFoundError.__new__(cls, *args)


class EmptyDataError(DataError):
    """There is no readable image in the data."""


class LabelError(DataError):
    """Labels are missing, do not match the images, or leave too few classes or images a class."""


class BadImageError(DataError):
    """An image cannot be used and ``on_bad_image="raise"`` was asked for."""


class WeightsUnavailableError(AutoDLError, RuntimeError):
    """Pretrained weights are neither on disk nor reachable; the message names the ways out."""


class ExportError(AutoDLError, RuntimeError):
    """A network cannot be exported, or the exported file gives other outputs."""


class TrialError(AutoDLError, RuntimeError):
    """A trial cannot go on (NaN loss, a network that does not fit the data)."""


class AllTrialsFailedError(AutoDLError, RuntimeError):
    """No trial of a run finished; the message shows the first traceback."""


class WorkerLostError(AutoDLError, RuntimeError):
    """The process that ran a trial died and the trial used up its tries."""


class JournalError(AutoDLError, RuntimeError):
    """A journal cannot be read, belongs to another run, or is in use by another process."""


class RunExistsError(AutoDLError, FileExistsError):
    """The run path holds a run already; resume it or name another path."""


class NotFittedError(AutoDLError, ValueError, AttributeError):
    """A predictor is used before it was fitted."""


class StorageError(AutoDLError, OSError):
    """A file cannot be written: the disk is full, or the place must not be written to."""


class PredictorFormatError(AutoDLError, ValueError):
    """A saved predictor is damaged, was tampered with, or comes from a newer version."""


class PlanError(AutoDLError, RuntimeError):
    """A network with open decisions is run without a plan, or with one that does not fit it."""
