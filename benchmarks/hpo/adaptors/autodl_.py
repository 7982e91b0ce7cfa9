"""autodl in the peers' harness: our searchers and schedulers as the tuner itself drives them."""

from __future__ import annotations

import inspect
from typing import Any

from base import Config, Scheduler, Searcher
from spaces_ import Translation

import autodl
from autodl.engine.state import SearchState
from autodl.engine.types import Idle, Launch, Objective
from autodl.executors.protocol import Decision
from autodl.schedulers.fifo import FIFOScheduler
from autodl.schedulers.registry import SCHEDULERS as SCHEDULER_NAMES
from autodl.searchers.registry import SEARCHERS as SEARCHER_NAMES
from autodl.trial import TrialState

VERSION = f"autodl {autodl.__version__}"

SINGLE = ("random", "sobol", "gp", "tpe", "bohb", "cmaes", "bayesian", "auto", "evolution")
MULTI: dict[str, tuple[str, str, dict[str, Any]]] = {
    "autodl-mobster": ("mobster", "asha", {"type": "promotion"}),
    "autodl-mobster-stop": ("mobster", "asha", {"type": "stopping"}),
    "autodl-asha": ("random", "asha", {"type": "promotion"}),
    "autodl-asha-stop": ("random", "asha", {"type": "stopping"}),
    "autodl-bohb": ("bohb", "hyperband", {}),
    "autodl-bohb-asha": ("bohb", "asha", {"type": "promotion"}),
    "autodl-tpe-asha": ("tpe", "asha", {"type": "promotion"}),
    "autodl-gp-asha": ("gp", "asha", {"type": "promotion"}),
    "autodl-hyperband": ("random", "hyperband", {}),
    "autodl-sync-halving": ("random", "sync_halving", {}),
    "autodl-median": ("random", "median", {}),
    "autodl-pbt": ("random", "pbt", {}),
    "autodl-hyperband-promote": ("random", "hyperband", {"type": "promotion"}),
    "autodl-auto-asha": ("auto", "asha", {"type": "promotion"}),
}
"""Name -> searcher, scheduler, options of the scheduler (those that it has)."""

LEAVE_IDLE = ("sync_halving", "pbt")
"""Schedulers that may leave a worker idle: they run on our simulated cluster (``on_tuner.py``)."""


def make(table: dict[str, Any], name: str, options: dict[str, Any]) -> Any:
    """An object of one of autodl's tables, with the options that its constructor knows."""
    factory = table[name]
    known = inspect.signature(factory).parameters
    return factory(**{key: value for key, value in options.items() if key in known})


class Driven:
    """A `SearchState` with the harness's space: what both kinds of adaptor share."""

    def __init__(self, neutral: Any, seed: int, searcher: Any, scheduler: Any) -> None:
        self.translation = Translation(neutral)
        searcher.bind(self.translation.space, seed=seed)
        self.state = SearchState(
            self.translation.space, searcher, scheduler, Objective("value", "min"), num_trials=None
        )

    def launch(self) -> tuple[int, Config, int]:
        """The next job: trial, neutral config, first epoch."""
        proposal = self.state.propose()
        if isinstance(proposal, Idle):
            raise RuntimeError(f"the {proposal.why} leaves a worker idle, for which the harness has no word")
        trial = self.state.launch(proposal, 0.0)
        config = Config(self.translation.to_neutral(trial.config))
        config.handle = trial.trial_id
        return trial.trial_id, config, trial.resource + 1

    def report(self, trial_id: int, epoch: int, value: float) -> Decision:
        """Tell a measurement, and carry out what it means for this trial and others."""
        verdict = self.state.report(trial_id, epoch, {"value": float(value)})
        if verdict.decision is not Decision.CONTINUE:
            self.settle(trial_id)
        for other in verdict.stops:
            if self.state.trials[other].state is TrialState.PAUSED:
                self.settle(other)
        return verdict.decision

    def settle(self, trial_id: int) -> None:
        """The trial's worker is free, unless it was already."""
        if self.state.trials[trial_id].state in (TrialState.RUNNING, TrialState.PAUSED):
            self.state.settle(trial_id, None, 0.0)

    def feed(self, flat: dict[str, Any], value: float) -> None:
        """A finished trial that the searcher did not propose."""
        trial_id = len(self.state.trials)
        self.state.launch(Launch(trial_id, self.translation.from_neutral(flat), None, is_new=True), 0.0)
        self.report(trial_id, 1, value)
        self.settle(trial_id)


class Single(Searcher):
    """A searcher, one trial at a time, each a single epoch."""

    searcher = ""

    def __init__(self, space: Any, seed: int) -> None:
        super().__init__(space, seed)
        self.driven = Driven(space, seed, make(SEARCHER_NAMES, self.searcher, {}), FIFOScheduler())

    def suggest(self) -> Config:
        """The next trial's config."""
        return self.driven.launch()[1]

    def report(self, cfg: Config, value: float) -> None:
        """The trial's value; it is over."""
        self.driven.report(cfg.handle, 1, value)
        self.driven.settle(cfg.handle)

    def feed(self, cfgs: list[dict[str, Any]], values: list[float]) -> None:
        """Finished trials of somebody else."""
        for flat, value in zip(cfgs, values, strict=True):
            self.driven.feed(flat, value)


class Multi(Scheduler):
    """A searcher and a scheduler on the harness's simulated cluster."""

    searcher, scheduler = "", ""
    options: dict[str, Any] = {}  # noqa: RUF012  # replaced by each subclass, never changed

    def __init__(self, space: Any, seed: int, max_epochs: int) -> None:
        super().__init__(space, seed, max_epochs)
        known = {"max_resource": max_epochs, "reduction_factor": 3, **self.options}
        scheduler = make(SCHEDULER_NAMES, self.scheduler, known)
        self.driven = Driven(space, seed, make(SEARCHER_NAMES, self.searcher, known), scheduler)

    def ask(self) -> tuple[int, Config, int]:
        """A job for a free worker."""
        return self.driven.launch()

    def report(self, trial_id: int, epoch: int, value: float) -> str:
        """An epoch's value; "continue", "pause" or "stop"."""
        return self.driven.report(trial_id, epoch, value).value

    def done(self, trial_id: int) -> None:
        """The trial reached its last epoch."""
        if self.driven.state.trials[trial_id].state is TrialState.RUNNING:
            self.driven.settle(trial_id)


def _single(name: str) -> type[Single]:
    return type(f"Autodl_{name}", (Single,), {"name": f"autodl-{name}", "searcher": name})


def _multi(name: str) -> type[Multi]:
    searcher, scheduler, options = MULTI[name]
    body = {"name": name, "searcher": searcher, "scheduler": scheduler, "options": options}
    return type(name, (Multi,), body)


SEARCHERS = {f"autodl-{name}": _single(name) for name in SINGLE if name in SEARCHER_NAMES}
SCHEDULERS = {
    name: _multi(name)
    for name, (searcher, scheduler, _) in MULTI.items()
    if searcher in SEARCHER_NAMES and scheduler in SCHEDULER_NAMES
}
