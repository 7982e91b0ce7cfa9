"""scikit-optimize's Optimizer as a searcher.

Every parameter of the space is a dimension of the optimizer, conditional ones too: values of
inactive ones are dropped from what it asks, and told back as the parameter's default.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from autodl.errors import ConfigError, OptionError
from autodl.rng import derive_seed
from autodl.searchers.binding import Binding, bound
from autodl.searchers.unseen import Unseen
from autodl.spaces import Int, Real
from autodl.spaces.categorical import same
from autodl.spaces.search_space import Parameter, SearchSpace
from autodl.trial import Config, Report, TrialState, Value

_LARGEST = 1e30  # of losses; their squares must not overflow in surrogates


class SkoptSearcher:
    """Proposes what a `skopt.Optimizer` asks for.

    The optimizer minimises minus the score. Failed trials are told as the worst seen; running
    ones as the mean of all that ended (a constant liar), which a copy of the optimizer learns. No
    config of a finite space is proposed twice. Deterministic if the optimizer is.

    Args:
        optimizer: with a dimension for each parameter of the space that has more than one value:
            by name where dimensions have names, else in their order. None: made with such
            dimensions and the run's seed.
        options: keyword arguments of the optimizer that is made: ``base_estimator="RF"``.

    Raises:
        OptionError: both an optimizer and options.

    Example::

        ad.tune(train, searcher=ad.searchers.Skopt(base_estimator="ET", acq_func="EI"), ...)
    """

    def __init__(self, optimizer: Any = None, **options: Any) -> None:
        if optimizer is not None and options:
            raise OptionError(
                f"options {sorted(options)} belong to the optimizer that is given: set them there"
            )
        self.optimizer = optimizer
        self.options = options
        self._binding: Binding | None = None

    def bind(self, space: SearchSpace, *, seed: int) -> None:
        """See `autodl.searchers.protocol.BindableSearcher.bind`.

        Raises:
            OptionError: the optimizer's dimensions are not the space's parameters.
        """
        self._binding = Binding(space, seed)
        self._unseen = Unseen(space)
        free = [parameter for parameter in space.parameters if parameter.domain.size != 1]
        self._by_index = self.optimizer is None
        if self.optimizer is None:
            self._parameters = free
            self._optimizer = self._made(seed) if free else None
        else:
            self._parameters = _matched(self.optimizer.space.dimensions, free)
            self._optimizer = self.optimizer
        self._running: dict[int, list[Any]] = {}
        self._ended: set[int] = set()
        self._losses: list[float] = []
        self._early: list[list[Any]] = []  # failed before any loss was known

    def _made(self, seed: int) -> Any:
        from skopt import Optimizer  # noqa: PLC0415  # heavy

        dimensions = [_dimension(parameter) for parameter in self._parameters]
        options = {"random_state": derive_seed(seed, "skopt") % 2**32, **self.options}
        return Optimizer(dimensions, **options)

    def skip(self, configs: Iterable[Config]) -> None:
        """Do not propose these: they are tried anyway."""
        for config in configs:
            self._unseen.see(config)

    def suggest(self, trial_id: int) -> Config | None:
        """What the optimizer asks for; None: a finite space is used up."""
        rng = bound(self._binding, self).rng(trial_id)
        if self._unseen.used_up:
            return None
        config = None if self._optimizer is None else self._config(self._ask(int(rng.integers(2**31))))
        if config is None or config not in self._unseen:
            config = self._unseen.draw(rng)
        if config is not None:
            self._unseen.see(config)
            self._running[trial_id] = self._point(config)
        return config

    def observe(self, report: Report) -> None:
        """Tell the end of a trial; measurements on the way say only that it runs."""
        if report.trial_id in self._ended or self._optimizer is None:
            return
        if report.trial_id not in self._running:  # a trial someone else proposed
            self._unseen.see(report.config)
            self._running[report.trial_id] = self._point(report.config)
        if not report.state.ended:
            return
        self._ended.add(report.trial_id)
        point = self._running.pop(report.trial_id)
        score = report.score
        if score is not None and math.isfinite(score) and report.state is not TrialState.FAILED:
            points, self._early = [*self._early, point], []
            loss = min(max(-score, -_LARGEST), _LARGEST)
            self._losses.append(loss)
            self._tell(self._optimizer, points, [loss] * len(points))
        elif self._losses:
            self._tell(self._optimizer, [point], [max(self._losses)])
        else:
            self._early.append(point)

    def _ask(self, seed: int) -> list[Any]:
        optimizer: Any = self._optimizer
        if self._running:
            with _quiet():
                optimizer = optimizer.copy(random_state=seed)
            lie = sum(loss / len(self._losses) for loss in self._losses)
            self._tell(optimizer, list(self._running.values()), [lie] * len(self._running))
        with _quiet():
            asked: list[Any] = optimizer.ask()
        return asked

    def _tell(self, optimizer: Any, points: list[list[Any]], losses: list[float]) -> None:
        with _quiet():
            optimizer.tell(points, losses)

    def _config(self, point: Sequence[Any]) -> Config:
        space = bound(self._binding, self).space
        values = {
            parameter.label: self._value(parameter, value)
            for parameter, value in zip(self._parameters, point, strict=True)
        }
        config: Config = {}
        for parameter in space.parameters:
            if parameter.is_active(config):
                config[parameter.label] = values.get(parameter.label, parameter.domain.default)
        try:
            space.validate(config)
        except ConfigError as error:
            raise OptionError(f"the optimizer's dimensions differ from the space: {error}") from error
        return config

    def _value(self, parameter: Parameter, value: Any) -> Value:
        plain = value.item() if hasattr(value, "item") else value  # numpy's scalars as Python's
        domain = parameter.domain
        if isinstance(domain, Real):
            return min(max(float(plain), domain.low), domain.high)
        if isinstance(domain, Int):
            return int(plain)
        result: Value = list(domain.values())[int(plain)] if self._by_index else plain
        return result

    def _point(self, config: Config) -> list[Any]:
        return [self._coordinate(p, config.get(p.label, p.domain.default)) for p in self._parameters]

    def _coordinate(self, parameter: Parameter, value: Value) -> Any:
        if isinstance(parameter.domain, Real | Int) or not self._by_index:
            return value
        return next(i for i, other in enumerate(parameter.domain.values()) if same(other, value))

    def __repr__(self) -> str:
        shown = "made" if self.optimizer is None else type(self.optimizer).__name__
        return f"SkoptSearcher({shown}{''.join(f', {k}={v!r}' for k, v in self.options.items())})"


def _dimension(parameter: Parameter) -> Any:
    from skopt import space as dimensions  # noqa: PLC0415  # heavy

    domain = parameter.domain
    prior = "log-uniform" if getattr(domain, "log", False) else "uniform"
    if isinstance(domain, Real):
        return dimensions.Real(domain.low, domain.high, prior=prior, name=parameter.label)
    if isinstance(domain, Int):
        return dimensions.Integer(domain.low, domain.high, prior=prior, name=parameter.label)
    # By number: scikit-optimize would make texts of values of several types.
    return dimensions.Categorical(list(range(domain.size or 0)), name=parameter.label)


def _matched(dimensions: Sequence[Any], free: Sequence[Parameter]) -> list[Parameter]:
    """The parameter of each dimension."""
    labels = {parameter.label: parameter for parameter in free}
    names = [dimension.name for dimension in dimensions]
    if len(names) == len(free) and set(names) == set(labels):
        return [labels[name] for name in names]
    if len(names) == len(free) and not any(names):
        return list(free)
    raise OptionError(
        f"the optimizer has the dimensions {names}, the space the parameters {list(labels)}: give it one for "
        "each, in this order or with these names"
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """No warnings of points asked for twice and of fits that did not converge: nobody can act on them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
