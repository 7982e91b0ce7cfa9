"""Decorated classes and functions: objects described by a space and built where they are used.

Calling a decorated class makes no instance but an `ObjectSpec`: an immutable description that
can be part of a search space, be pickled to a worker, and be built there from a config.
"""

from __future__ import annotations

import inspect
import sys
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

from autodl.errors import SpaceError
from autodl.spaces.base import Config, Value, detach
from autodl.spaces.categorical import choice_name
from autodl.spaces.nested import Composite, check_key
from autodl.spaces.search_space import SearchSpace

Arguments = tuple[tuple[str, Any], ...]


@final
@dataclass(frozen=True, slots=True)
class ObjectSpec(Composite):
    """A class or function and its arguments, some of which are spaces.

    Attributes:
        target: what is called to build the object.
        arguments: (name, space or constant) pairs. Positional arguments without a name are "0", "1", ...
    """

    target: Callable[..., Any]
    arguments: Arguments = ()

    @property
    def __name__(self) -> str:
        """The target's name, which is also the name of this choice in a `Categorical`."""
        return choice_name(self.target)

    def __repr__(self) -> str:
        shown = (v if _is_position(k) else f"{k}={v!r}" for k, v in self.arguments)
        return f"{self.__name__}({', '.join(map(str, shown))})"

    def __hash__(self) -> int:
        return hash((self.target, tuple(k for k, _ in self.arguments)))  # constants may have no hash

    @property
    def space(self) -> SearchSpace:
        """The search space of the arguments alone."""
        return SearchSpace(self)

    def children(self) -> Arguments:
        """The arguments."""
        return self.arguments

    def assemble(self, values: dict[str, Any], extra: Mapping[str, Any]) -> Any:
        """Call the target; an extra argument that it does not take is left out."""
        positional, named = _split(self.target, values)
        named |= {k: v for k, v in extra.items() if accepts(self.target, k)}
        return self.target(*positional, **named)

    def update(self, /, *args: Any, **overrides: Any) -> ObjectSpec:
        """A new spec with some arguments replaced; this one stays as it is.

        Raises:
            SpaceError: the target takes no such argument.
        """
        return ObjectSpec(self.target, merge(self.target, self.arguments, args, overrides))

    def build(self, config: Mapping[str, Value] | None = None, **extra: Any) -> Any:
        """A new object, which shares no state with any other.

        Args:
            config: labels relative to this spec; what it lacks is filled from the defaults.
            **extra: arguments known only now (``num_classes=10``), which win over the spec's own;
                left out if the target does not take them.

        Raises:
            ConfigError: the config does not fit the spec's space.
        """
        space = self.space
        full: Config = space.complete(config or {})
        values = dict(self.arguments)
        built = {key: space.build_part(full, key) for key in values if key not in extra}
        return self.assemble(built, extra)


class _Decorated(Composite):
    """What `obj` and `func` share: a call makes a spec; as part of a space it is the spec of a bare call."""

    __slots__ = ("__dict__",)
    __name__: str
    arguments: Arguments

    @property
    @abstractmethod
    def target(self) -> Callable[..., Any]:
        """What was decorated."""
        raise NotImplementedError

    def __call__(self, /, *args: Any, **overrides: Any) -> ObjectSpec:
        """A spec with these arguments, over those of the decorator."""
        return ObjectSpec(self.target, merge(self.target, self.arguments, args, overrides))

    def children(self) -> Arguments:
        """The decorator's arguments."""
        return self.arguments

    def assemble(self, values: dict[str, Any], extra: Mapping[str, Any]) -> Any:
        """Build as the spec of a bare call does."""
        return ObjectSpec(self.target, self.arguments).assemble(values, extra)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Decorated):
            return NotImplemented
        return self.target is other.target and self.arguments == other.arguments

    def __hash__(self) -> int:
        return hash(self.target)

    def __repr__(self) -> str:
        return f"<autodl {type(self).__name__} {ObjectSpec(self.target, self.arguments)!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        # By value, never by name: in a worker `__main__` is another module.
        return type(self), (self.target, self.arguments)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{self.__name__} is decorated and immutable; call it with other arguments")

    def _adopt(self, target: Callable[..., Any], attribute: str, arguments: Arguments) -> None:
        adopt(self, target, attribute)
        self.__dict__["arguments"] = arguments


@final
class ObjectClass(_Decorated):
    """A class under `obj`. It is called like the class, but makes specs.

    ``isinstance(x, Net)``, subclassing and class attributes work as with the class itself, which
    is there as ``Net.cls``. (``super()`` without arguments works inside; ``super(Net, self)`` does not.)
    """

    __slots__ = ()
    cls: type

    def __init__(self, cls: type, arguments: Arguments) -> None:
        self._adopt(cls, "cls", arguments)

    @property
    def target(self) -> type:
        """The class."""
        return self.cls

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self.cls)

    def __subclasscheck__(self, subclass: type) -> bool:
        return issubclass(subclass, self.cls)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (self.cls,)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "cls" not in self.__dict__:  # copy and pickle look for hooks
            raise AttributeError(name)
        return getattr(self.cls, name)


@final
class ObjectFunction(_Decorated):
    """A function under `func`. It is called like the function, but makes specs; see `ObjectClass`."""

    __slots__ = ()
    function: Callable[..., Any]

    def __init__(self, function: Callable[..., Any], arguments: Arguments) -> None:
        self._adopt(function, "function", arguments)

    @property
    def target(self) -> Callable[..., Any]:
        """The function."""
        return self.function


def adopt(holder: object, target: Any, attribute: str) -> None:
    """Keep a class or function inside the object that takes its name.

    Its ``__qualname__`` becomes ``Net.cls``, where pickle then finds it. A class that goes on under
    its own name (``obj(...)(ThirdPartyNet)``) is left alone.
    """
    name = getattr(target, "__qualname__", "")
    for copied in ("__module__", "__name__", "__doc__"):
        holder.__dict__[copied] = getattr(target, copied, None)
    holder.__dict__[attribute] = target
    own_name = inspect.isclass(target) or inspect.isfunction(target)
    if own_name and not keeps_its_name(target) and not name.endswith(f".{attribute}"):
        target.__qualname__ = f"{name}.{attribute}"


def keeps_its_name(target: Any) -> bool:
    """True if a class or function is what its name means in its module: it was not decorated there."""
    found: Any = sys.modules.get(getattr(target, "__module__", None) or "")
    for part in getattr(target, "__qualname__", "").split("."):
        found = getattr(found, part, None)
    return found is target


def accepts(target: Callable[..., Any], name: str) -> bool:
    """True if a callable takes a keyword argument of this name."""
    known, anything = _keywords(target)
    return anything or name in known


def _keywords(target: Callable[..., Any]) -> tuple[tuple[str, ...], bool]:
    """Names of keyword arguments, and whether any other is taken too."""
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):  # some built-ins have no signature
        return (), True
    named = tuple(p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))
    return named, any(p.kind is p.VAR_KEYWORD for p in parameters)


def merge(
    target: Callable[..., Any], base: Arguments, args: tuple[Any, ...], overrides: Mapping[str, Any]
) -> Arguments:
    """Arguments of a call laid over those of the decorator.

    Raises:
        SpaceError: the target takes no such argument, or one is given twice.
    """
    given = _name_positions(target, args)
    for key, value in overrides.items():
        if key in given:
            raise SpaceError(f"{choice_name(target)} got two values for {key!r}")
        check_key(key, choice_name(target))
        if not accepts(target, key):
            known = ", ".join(_keywords(target)[0]) or "none"
            raise SpaceError(f"{choice_name(target)} takes no argument {key!r}; it takes: {known}")
        given[key] = value
    return tuple({**dict(base), **{k: detach(v) for k, v in given.items()}}.items())


def _positional(target: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """Parameters that take positional arguments; None if nobody knows."""
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return None
    return [p for p in parameters if p.kind not in (p.KEYWORD_ONLY, p.VAR_KEYWORD)]


def _name_positions(target: Callable[..., Any], args: tuple[Any, ...]) -> dict[str, Any]:
    """Positional arguments by their names where keywords reach them, else by position."""
    parameters = _positional(target)
    if parameters is None:
        return {str(i): value for i, value in enumerate(args)}
    variadic = bool(parameters) and parameters[-1].kind is inspect.Parameter.VAR_POSITIONAL
    if len(args) > len(parameters) and not variadic:
        name = choice_name(target)
        raise SpaceError(f"{name} takes {len(parameters)} positional arguments, got {len(args)}")
    named = [p.name if p.kind is p.POSITIONAL_OR_KEYWORD else None for p in parameters]
    return {(named[i] if i < len(named) else None) or str(i): value for i, value in enumerate(args)}


def _split(target: Callable[..., Any], values: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Positional and keyword arguments of a call; a named one before a nameless one goes by position."""
    last = max((int(k) for k in values if _is_position(k)), default=-1)
    parameters = _positional(target) or []
    keys = [str(i) if str(i) in values else parameters[i].name for i in range(last + 1)]
    return [values[k] for k in keys], {k: v for k, v in values.items() if k not in keys}


def _is_position(key: str) -> bool:
    return key.isdigit()
