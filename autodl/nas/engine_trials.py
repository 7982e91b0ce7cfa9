"""What a trial of the engine does with an architecture, and what a search notes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from torch import nn

from autodl.engine.driver import Tuner
from autodl.errors import OptionError
from autodl.nas.data import NASData
from autodl.nas.decisions import Arch
from autodl.nas.evaluators import Evaluator, arch_key
from autodl.nas.fitting import FitOptions, accuracy, fit_epoch
from autodl.nas.judge import Judge
from autodl.nas.space import Space
from autodl.nas.strategy import Run
from autodl.result import TuneResult
from autodl.rng import derive_seed, torch_generator
from autodl.spaces import SearchSpace, Value
from autodl.spaces.serial import parameters_to_json
from autodl.trial import Trial, TrialState

REWARD, METRIC, COST = "reward", "metric", "cost"
"""What trials report."""

RECIPE = tuple(field.name for field in fields(FitOptions))
"""What a recipe may vary."""


def joint_space(
    space: Space, recipe: Mapping[str, Any] | SearchSpace | None, *, is_trained: bool = True
) -> SearchSpace:
    """Decisions of an architecture and of its training in one space.

    Args:
        space: of the architectures.
        recipe: spaces of fields of `FitOptions`.
        is_trained: whether anything is trained at all.

    Raises:
        OptionError: a recipe has other labels, or is of no use.
    """
    archs = space.search_space()
    if recipe is None:
        return archs
    if not is_trained:
        raise OptionError("an evaluator trains as it does: a recipe goes with images (NASData)")
    made = recipe if isinstance(recipe, SearchSpace) else SearchSpace(recipe)
    unknown = [label for label in made.labels if label not in RECIPE]
    if unknown:
        raise OptionError(f"a recipe varies {', '.join(RECIPE)}; {', '.join(unknown)} is none of these")
    return SearchSpace.from_json(parameters_to_json((*archs.parameters, *made.parameters)))


class TrialFunction:
    """Evaluates one config, reporter in hand: an epoch at a time, or by an evaluator.

    Args:
        space: of the architectures.
        data: images, or an evaluator.
        judge: weighs metric and cost.
        fit: how networks are trained, but for what the config says.
        resources: see `EngineSearch`.
        seed: of weights and orders of images.

    Attributes:
        data: images; None with an evaluator.
    """

    def __init__(  # what a worker needs
        self,
        space: Space,
        data: NASData | Evaluator,
        judge: Judge,
        fit: FitOptions,
        resources: tuple[int, ...] | None,
        seed: int,
    ) -> None:
        self.space, self.judge, self.fit, self.seed = space, judge, fit, seed
        self.data = data if isinstance(data, NASData) else None
        self.resources = resources

    def __call__(self, config: Mapping[str, Value], reporter: Any) -> None:
        """Evaluate a config."""
        arch, recipe = split_config(self.space, config)
        if self.data is None:
            for resource in self.resources or (None,):
                made = self.judge(arch, resource=resource)
                _report(reporter, made.reward, made.metric, made.cost)
            return
        options = replace(self.fit, **recipe)  # type: ignore[arg-type]  # checked by `joint_space`
        self._train(arch, options, derive_seed(self.seed, arch_key(config)), self.data, reporter)

    def _train(self, arch: Arch, options: FitOptions, seed: int, data: NASData, reporter: Any) -> None:
        net: nn.Module = self.space.realise(arch, seed=seed).to(data.device)
        optimizer, state = options.optimizer(net), reporter.load()
        if state is not None:
            net.load_state_dict(state["net"])
            if optimizer is not None:
                optimizer.load_state_dict(state["optimizer"])
        for epoch in reporter.epochs(options.epochs):
            if optimizer is not None:
                order = torch_generator(seed, "order", epoch)
                fit_epoch(net, data, options, optimizer, epoch - 1, order)
            made = self.judge.weigh(accuracy(net, data), self.judge.cost_of(arch))
            kept = {} if optimizer is None else {"optimizer": optimizer.state_dict()}
            reporter.save({"net": net.state_dict(), **kept})
            _report(reporter, made.reward, made.metric, made.cost)


def _report(reporter: Any, reward: float, metric: float, cost: float | None) -> None:
    more = {} if cost is None else {COST: cost}
    reporter(**{REWARD: reward, METRIC: metric, **more})


def split_config(space: Space, config: Mapping[str, Value]) -> tuple[Arch, dict[str, Value]]:
    """The architecture in a config, canonical, and the rest."""
    labels = space.decisions()
    arch = space.validate({label: value for label, value in config.items() if label in labels})
    return arch, {label: value for label, value in config.items() if label not in labels}


class _EndOfSearch(KeyboardInterrupt):
    """Ends the engine's run from within a callback, in the way that the user can."""


class EngineRecorder:
    """A callback of the engine that notes each trial that ended in the search's history.

    Args:
        run: the search.
        space: of the architectures.
    """

    def __init__(self, run: Run, space: Space) -> None:
        self.run, self.space = run, space
        self._error: BaseException | None = None
        self._is_stopped = False

    def on_run_start(self, tuner: Tuner) -> None:
        """Trials of a resumed run: their records are put first, and nobody is told again."""
        ended = [t for t in tuner.trials if t.state.ended and t.state is not TrialState.FAILED and t.reports]
        told, self.run.callbacks = self.run.callbacks, ()
        later, self.run.history = self.run.history, []
        for trial in sorted(ended, key=lambda trial: trial.ended_s or 0.0):
            self._note(trial)
        self.run.history += later
        self.run.callbacks = told

    def on_trial_end(self, trial: Trial) -> None:
        """Note it; the search's callbacks may end the run."""
        if self._is_stopped or not trial.reports or trial.state is TrialState.FAILED:
            return
        try:
            self._note(trial)
        except Exception as error:  # the engine would only warn about it; `close` raises it
            self._error = error
        if self._error is not None or self.run.stopped_by == "callback":
            self._is_stopped = True
            raise _EndOfSearch

    def close(self, result: TuneResult) -> None:
        """After the run: raise what a callback raised, and note why the run ended."""
        if self._error is not None:
            raise self._error
        if self.run.stopped_by == "budget" and result.stopped_by == "time_limit":
            self.run.stopped_by = "time"
        elif self.run.stopped_by == "budget" and result.stopped_by == "interrupted":
            self.run.stopped_by = "interrupted"

    def _note(self, trial: Trial) -> None:
        best = trial.best or trial.reports[-1]
        arch, recipe = split_config(self.space, best.config)
        self.run.record(
            arch,
            best.metrics[METRIC],
            best.metrics.get(COST),
            reward=best.metrics[REWARD],
            trial=trial.trial_id,
            resource=trial.resource,
            state=trial.state.value,
            **({"recipe": recipe} if recipe else {}),
        )
