"""`args`, `obj` and `func`: attach a search space to a training function, a class, a function."""

from __future__ import annotations

import dis
import inspect
import itertools
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, final

from autodl.errors import SpaceError
from autodl.spaces.base import Config, Value
from autodl.spaces.nested import Dict
from autodl.spaces.objects import Arguments, ObjectClass, ObjectFunction, adopt, keeps_its_name, merge
from autodl.spaces.search_space import SearchSpace

RESERVED = ("config", "get", "items", "keys", "values")  # what an `Args` offers besides the parameters


@final
class Args(Mapping[str, Any]):
    """What a training function gets: parameters as attributes or items, built on first use.

    Args:
        space: the function's search space, with a `Dict` for a root.
        config: a valid config.
    """

    __slots__ = ("_built", "_space", "config")
    config: Config
    _space: SearchSpace
    _built: dict[str, Any]

    def __init__(self, space: SearchSpace, config: Config) -> None:
        object.__setattr__(self, "_space", space)
        object.__setattr__(self, "config", dict(config))
        object.__setattr__(self, "_built", {})

    def __getitem__(self, name: str) -> Any:
        if name not in self._built:
            if name not in dict(self._space.root.items):
                raise KeyError(name)
            self._built[name] = self._space.build_part(self.config, name)
        return self._built[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # copy and pickle look for hooks
            raise AttributeError(name)
        if name not in self:
            raise AttributeError(f"args has no {name!r}; it has {', '.join(self)}")
        return self[name]

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"args is immutable; keep {name!r} in a variable of your own")

    def __contains__(self, name: object) -> bool:  # Mapping's own would build the object
        return name in dict(self._space.root.items)

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self._space.root.items))

    def __len__(self) -> int:
        return len(self._space.root)

    def __repr__(self) -> str:
        return f"Args({self.config})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Args, (self._space, self.config)


class DryReporter:
    """Stands in for a reporter when a training function is called by hand: it only remembers.

    Attributes:
        history: the metrics of each report.
        trial_id: 0.
        attempt: 1.
        seed: 0.
        time_left_s: None, no limit.
    """

    trial_id = 0
    attempt = 1
    seed = 0
    time_left_s: float | None = None

    def __init__(self) -> None:
        self.history: list[dict[str, Any]] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def checkpoint_dir(self) -> Path:
        """A folder that lives as long as this reporter."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="autodl-")
            weakref.finalize(self, self._folder.cleanup)  # quietly: no ResourceWarning
        return Path(self._folder.name)

    def __call__(self, epoch: int | None = None, **metrics: Any) -> None:
        """Remember a report."""
        self.history.append(metrics if epoch is None else {"epoch": epoch, **metrics})

    def epochs(self, count: int) -> Iterator[int]:
        """1, ..., count."""
        return iter(range(1, count + 1))

    def save(self, state: object) -> None:
        """Save nothing."""

    def load(self) -> None:
        """There is nothing to resume from."""
        return None


@final
class TunableFunction:
    """A training function under `args`: ``function(args, reporter)`` with a search space.

    Call it by hand to try it: ``train()``, ``train(lr=0.1)``, ``train(reporter, epochs=1)``.

    Attributes:
        function: the function as written.
        arguments: (name, space or constant) pairs.
        space: the search space they make.
    """

    __name__: str
    function: Callable[..., Any]
    arguments: Arguments
    space: SearchSpace

    def __init__(self, function: Callable[..., Any], arguments: Arguments) -> None:
        adopt(self, function, "function")
        root = Dict(dict(arguments))
        self.__dict__["arguments"] = root.items
        self.__dict__["space"] = SearchSpace(root)

    def __call__(self, reporter: Any = None, /, **overrides: Any) -> Any:
        """Run once with the default of every parameter that is not overridden.

        Args:
            reporter: gets the reports; a `DryReporter` if None. Also by keyword.
            **overrides: a value or a space for a parameter.
        """
        reporter = overrides.pop("reporter", reporter)
        tried = self.update(**overrides) if overrides else self
        return tried.run({}, DryReporter() if reporter is None else reporter)

    def update(self, /, **overrides: Any) -> TunableFunction:
        """A new tunable function with other spaces or constants; this one stays as it is.

        Raises:
            SpaceError: a name that the decorator did not declare.
        """
        known = dict(self.arguments)
        for name in overrides:
            if name not in known:
                raise SpaceError(f"{self.__name__} has no {name!r}; it has {', '.join(known) or 'none'}")
        return TunableFunction(self.function, tuple({**known, **overrides}.items()))

    def run(self, config: Mapping[str, Value], reporter: Any) -> Any:
        """Run with a config; what it lacks is filled from the defaults.

        Objects are built when the function first asks for them.

        Raises:
            ConfigError: the config does not belong to the space.
        """
        return self.function(Args(self.space, self.space.complete(config)), reporter)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TunableFunction):
            return NotImplemented
        return self.function is other.function and self.arguments == other.arguments

    def __hash__(self) -> int:
        return hash(self.function)

    def __repr__(self) -> str:
        shown = ", ".join(f"{k}={v!r}" for k, v in self.arguments)
        return f"<autodl TunableFunction {self.__name__}({shown})>"

    def __reduce__(self) -> tuple[Any, ...]:
        return TunableFunction, (self.function, self.arguments)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{self.__name__} is immutable; {self.__name__}.update(...) makes another")


def args(*misplaced: Any, **space: Any) -> Callable[[Callable[..., Any]], TunableFunction]:
    """Decorate a training function ``train(args, reporter)`` with what it is tuned over.

    Args:
        *misplaced: none; a hint is given where the parentheses were forgotten.
        **space: a space, a decorated object or a constant for each attribute of ``args``.

    Raises:
        SpaceError: a name that ``args`` needs for itself, or a wrong space.

    Example:
        >>> from autodl.spaces import Real, args
        >>> @args(lr=Real(0.01, 1.0, log=True), epochs=2)
        ... def train(args, reporter):
        ...     return args.lr * args.epochs
        >>> train(), train(lr=1.0)
        (0.2, 2.0)
    """
    _no_positional(misplaced, "args")
    for name in space:
        if name in (*RESERVED, "reporter") or name.startswith("_"):
            raise SpaceError(f"args: {name!r} cannot name a parameter; take another name")

    def decorate(function: Callable[..., Any]) -> TunableFunction:
        if not callable(function) or inspect.isclass(function):
            raise SpaceError(f"args decorates functions, got {function!r}; for a class there is obj")
        return TunableFunction(function, Dict(space).items)

    return decorate


def obj(*misplaced: Any, **space: Any) -> Callable[[type], ObjectClass]:
    """Decorate a class with spaces for arguments of its constructor.

    Calling the class then makes an `ObjectSpec`, built in the worker from a config.

    Args:
        *misplaced: none; a hint is given where the parentheses were forgotten.
        **space: a space, a decorated object or a constant for each argument.

    Raises:
        SpaceError: the constructor takes no such argument.

    Example:
        >>> from autodl.spaces import Int, obj
        >>> @obj(hidden=Int(1, 9))
        ... class Net:
        ...     def __init__(self, hidden, classes=2):
        ...         self.shape = hidden, classes
        >>> Net(hidden=7).build(classes=3).shape
        (7, 3)
    """
    _no_positional(misplaced, "obj")

    def decorate(cls: type) -> ObjectClass:
        if not inspect.isclass(cls):
            raise SpaceError(f"obj decorates classes, got {cls!r}; for a function there is func")
        _refuse_named_super(cls)
        return ObjectClass(cls, merge(cls, (), (), space))

    return decorate


def func(*misplaced: Any, **space: Any) -> Callable[[Callable[..., Any]], ObjectFunction]:
    """Decorate a function with spaces for its arguments; what it returns is built in the worker.

    Args:
        *misplaced: none; a hint is given where the parentheses were forgotten.
        **space: a space, a decorated object or a constant for each argument.

    Raises:
        SpaceError: the function takes no such argument.
    """
    _no_positional(misplaced, "func")

    def decorate(function: Callable[..., Any]) -> ObjectFunction:
        if not callable(function) or inspect.isclass(function):
            raise SpaceError(f"func decorates functions, got {function!r}; for a class there is obj")
        return ObjectFunction(function, merge(function, (), (), space))

    return decorate


def _refuse_named_super(cls: type) -> None:
    """Find ``super(Net, self)`` at once: where Net is decorated it would fail in the worker only."""
    for function in filter(inspect.isfunction, vars(cls).values()):
        used = [i.argval for i in dis.get_instructions(function)]
        if ("super", cls.__name__) in itertools.pairwise(used) and not keeps_its_name(cls):
            raise SpaceError(
                f"{cls.__name__}.{function.__name__} calls super({cls.__name__}, ...), but the name "
                "stands for the decorated class; write super() without arguments"
            )


def _no_positional(misplaced: tuple[Any, ...], name: str) -> None:
    if misplaced:
        raise SpaceError(f"{name} takes keyword arguments only: write @{name}(lr=...), or @{name}() for none")
