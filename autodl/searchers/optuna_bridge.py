"""Optuna's samplers as searchers.

Conditional spaces are asked for as Optuna's users write them: choices first, then what is active
under them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from autodl.errors import MissingDependencyError
from autodl.rng import derive_seed
from autodl.searchers.binding import Binding, bound
from autodl.searchers.unseen import Unseen, config_key
from autodl.spaces import Bool, Categorical, Int, Real
from autodl.spaces.categorical import same
from autodl.spaces.search_space import Parameter, SearchSpace
from autodl.trial import Config, Report, TrialState, Value

_TRIES = 10  # configs asked for before one that was not tried is drawn at random


class OptunaSearcher:
    """Proposes what a sampler of Optuna does. Needs the extra ``[optuna]``.

    The sampler maximises the score. Measurements are reported as intermediate values by their
    resource; stopped trials end as pruned, with their last value. Trials it did not propose are
    added as if it had. In a finite space no config is proposed twice: what the sampler repeats is
    told to it at once. Deterministic if the sampler is.

    Args:
        sampler: seeded by its maker, and made for one run: it may keep a state. None: a
            `optuna.samplers.TPESampler` with the run's seed.

    Raises:
        MissingDependencyError: Optuna is not installed.

    Example::

        ad.tune(train, searcher=ad.searchers.Optuna(optuna.samplers.GPSampler(seed=0)), ...)
    """

    def __init__(self, sampler: Any = None) -> None:
        _optuna()
        self.sampler = sampler
        self._binding: Binding | None = None

    def bind(self, space: SearchSpace, *, seed: int) -> None:
        """See `autodl.searchers.protocol.BindableSearcher.bind`."""
        optuna = _optuna()
        self._binding = Binding(space, seed)
        self._unseen = Unseen(space)
        sampler = self.sampler
        if sampler is None:
            sampler = optuna.samplers.TPESampler(seed=derive_seed(seed, "optuna") % 2**32)
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would tell of a study that nobody made
        try:
            self._study = optuna.create_study(sampler=sampler, direction="maximize")
        finally:
            optuna.logging.set_verbosity(verbosity)
        self._is_over = False
        # A sampler that is used up (a grid) stops its study, which Optuna allows in `optimize` only.
        self._study.stop = self._stop
        self._running: dict[int, Any] = {}
        self._steps: dict[int, set[int]] = {}
        self._ended: set[int] = set()
        self._scores: dict[str, float] = {}  # by config, of finite spaces

    def _stop(self) -> None:
        self._is_over = True

    def skip(self, configs: Iterable[Config]) -> None:
        """Do not propose these: they are tried anyway."""
        for config in configs:
            self._unseen.see(config)

    def suggest(self, trial_id: int) -> Config | None:
        """What the sampler suggests; None: a finite space, or the sampler's grid, is used up."""
        binding = bound(self._binding, self)
        if self._unseen.used_up or self._is_over:
            return None
        for _ in range(_TRIES):
            trial, config = self._ask({})
            if config in self._unseen:
                break
            self._tell(trial, self._scores.get(config_key(config)))
        else:
            drawn = self._unseen.draw(binding.rng(trial_id))
            if drawn is None:
                return None
            trial, config = self._ask(drawn)
        self._unseen.see(config)
        self._running[trial_id] = trial
        return config

    def observe(self, report: Report) -> None:
        """Report an intermediate value, or tell the end of a trial."""
        trial_id = report.trial_id
        if trial_id in self._ended:
            return
        if trial_id not in self._running:  # a trial someone else proposed
            self._unseen.see(report.config)
            self._running[trial_id] = self._ask(report.config)[0]
        trial = self._running[trial_id]
        score = report.score if report.score is not None and math.isfinite(report.score) else None
        if not report.state.ended:
            self._measure(trial, report.resource, score)
            return
        self._ended.add(trial_id)
        del self._running[trial_id]
        self._steps.pop(trial.number, None)
        if score is not None and self._unseen.size is not None:
            self._scores[config_key(report.config)] = score
        is_pruned = report.state is TrialState.STOPPED
        self._tell(trial, None if report.state is TrialState.FAILED else score, is_pruned=is_pruned)

    def _ask(self, given: Mapping[str, Value]) -> tuple[Any, Config]:
        """A running trial of the study, and its config: `given`, or what the sampler suggests."""
        space = bound(self._binding, self).space
        if given:
            fixed = {label: _to_optuna(space[label], value) for label, value in given.items()}
            self._study.enqueue_trial(fixed)
        trial = self._study.ask()
        config: Config = {}
        for parameter in space.parameters:
            if parameter.is_active(config):
                config[parameter.label] = _suggested(trial, parameter)
        return trial, dict(given) or config

    def _measure(self, trial: Any, resource: int, score: float | None) -> None:
        steps = self._steps.setdefault(trial.number, set())
        if score is not None and resource not in steps:  # Optuna warns of what is reported twice
            steps.add(resource)
            trial.report(score, resource)

    def _tell(self, trial: Any, score: float | None, *, is_pruned: bool = False) -> None:
        states = _optuna().trial.TrialState
        if score is None:
            self._study.tell(trial, state=states.FAIL)
        elif is_pruned:
            self._study.tell(trial, state=states.PRUNED)
        else:
            self._study.tell(trial, score)

    def __repr__(self) -> str:
        name = "TPESampler" if self.sampler is None else type(self.sampler).__name__
        return f"OptunaSearcher({name})"


def _optuna() -> Any:
    try:
        import optuna  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise MissingDependencyError("Optuna is not installed: pip install 'autodl[optuna]'") from error
    return optuna


def _suggested(trial: Any, parameter: Parameter) -> Value:
    label, domain = parameter.label, parameter.domain
    value: Value
    match domain:
        case Real():
            value = float(trial.suggest_float(label, domain.low, domain.high, log=domain.log))
        case Int():
            value = int(trial.suggest_int(label, domain.low, domain.high, log=domain.log))
        case _:
            values = list(domain.values())
            found = trial.suggest_categorical(label, _options(parameter))
            value = values[_options(parameter).index(found)]
    return value


def _options(parameter: Parameter) -> list[Value]:
    """A choice's values; as text where Optuna could not tell them apart (1, 1.0, True)."""
    values = list(parameter.domain.values())
    return values if len(set(values)) == len(values) else [repr(value) for value in values]


def _to_optuna(parameter: Parameter, value: Value) -> Value:
    if not isinstance(parameter.domain, Bool | Categorical):
        return value
    values = list(parameter.domain.values())
    return _options(parameter)[next(i for i, other in enumerate(values) if same(other, value))]
