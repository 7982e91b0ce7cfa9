"""Networks with open decisions as a fit takes them, and what becomes of one once it is decided.

A decided network is stored without a pickle: the weights, the architecture, and the name and JSON
arguments of its space; a space of the user's own by its import path, as any network of their own.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from torch import nn

from autodl.errors import PredictorFormatError, SpaceError
from autodl.models import Classifier, wrap_module
from autodl.models.classifier import Preprocessing
from autodl.nas import Arch, DecisionModule, Space, Units
from autodl.nas.space import seeded
from autodl.nas.space_factory import PublishedSpace, SpaceFactory
from autodl.nas.spaces.registry import SPACES, get_space, space_from_json
from autodl.rng import derive_seed
from autodl.spaces import Categorical, List, ObjectClass, ObjectFunction, ObjectSpec
from autodl.spaces.nested import Composite
from autodl.spaces.objects import accepts
from autodl.tasks.ensemble_network import NetworkSpec

PREFIX = "nas:"
"""Of the names of networks from published spaces: "nas:darts"."""

ARCH = "autodl.nas"
"""Option of a user's own network that holds its architecture."""

CHANNELS = 3

DECLARED = (ObjectSpec, ObjectClass, ObjectFunction, Categorical, List, list, tuple)
"""What is searched as units with shared weights where a strategy is named, else by the engine."""


@dataclass(frozen=True)
class OwnSpace:
    """A space of the user's own, from a `Space`, or from what makes a network with open decisions.

    Args:
        made: a space, or a class or function, which gets ``num_classes`` and ``input_size`` if it takes them.
    """

    made: Space | Callable[..., nn.Module]

    def space(self, *, num_classes: int, channels: int = CHANNELS, side: int = 32) -> Space:
        """See `SpaceFactory.space`; a `Space` is as it is."""
        if isinstance(self.made, Space):
            return self.made
        known = {"num_classes": num_classes, "channels": channels, "input_size": side}
        return Space(self.made, **{k: v for k, v in known.items() if accepts(self.made, k)})

    def for_retraining(self) -> OwnSpace:
        """What is searched is what is trained."""
        return self

    @property
    def origin(self) -> tuple[str, dict[str, Any]]:
        """``"module:qualname"`` of what makes the network, and arguments that JSON can hold."""
        if not isinstance(self.made, Space):
            return _path(self.made), {}
        net, args, kwargs = self.made._net, self.made._args, self.made._kwargs
        arguments = {"args": list(args), "kwargs": dict(kwargs)}
        try:
            json.dumps(arguments)
        except (TypeError, ValueError):
            arguments = {}
        return _path(type(net) if isinstance(net, nn.Module) else net), arguments


def _path(target: Any) -> str:
    module = getattr(target, "__module__", type(target).__module__)
    return f"{module}:{getattr(target, '__qualname__', type(target).__qualname__)}"


def shown(factory: SpaceFactory) -> str:
    """A space's name for people."""
    if isinstance(factory, OwnSpace):
        return factory.origin[0].rpartition(":")[2]
    changed = [
        f"{field.name}={getattr(factory, field.name)!r}"
        for field in (fields(factory) if isinstance(factory, PublishedSpace) else ())
        if getattr(factory, field.name) != field.default
    ]
    return f"{type(factory).__name__}({', '.join(changed)})"


def as_factory(net: Any, *, searched: bool = False) -> SpaceFactory | None:
    """The space that a user's ``net`` stands for; None: it is no network with open decisions.

    Args:
        net: a published space, a `Space`, a network with open decisions or what makes one.
        searched: a strategy was asked for: names are those of spaces, declared units are choices, and
            what stands for no space is an error.

    Raises:
        SpaceError: not a space, though a strategy was asked for.
    """
    if isinstance(net, type) and issubclass(net, PublishedSpace):
        return net()
    if isinstance(net, Space):
        return OwnSpace(net)
    if isinstance(net, nn.Module):
        if any(isinstance(module, DecisionModule) for module in net.modules()):
            return OwnSpace(Space(net))
    elif isinstance(net, SpaceFactory) and not isinstance(net, type):
        return net
    elif isinstance(net, DECLARED):
        if searched:
            return Units(net)
    elif searched and isinstance(net, str):
        return get_space(net)
    elif callable(net):
        return _from_callable(net, searched=searched)
    if searched:
        raise SpaceError(
            f"nas=... searches a network with open decisions, got net={net!r:.80}; name a space "
            f"({', '.join(SPACES)}), pass one of ad.nas.spaces, a class with decision points, or units "
            "under ad.obj"
        )
    return None


def _from_callable(net: Callable[..., nn.Module], *, searched: bool) -> OwnSpace | None:
    """A class or function, if the network that it makes leaves something open."""
    if searched:
        return OwnSpace(net)
    try:
        with seeded(0):
            made = net(**{k: v for k, v in (("num_classes", 2), ("input_size", 32)) if accepts(net, k)})
    except Exception:  # the caller's own, which may want other arguments and raise anything
        return None
    is_open = isinstance(made, nn.Module) and any(isinstance(m, DecisionModule) for m in made.modules())
    return OwnSpace(net) if is_open else None


@dataclass(frozen=True)
class ChosenNetwork:
    """A network of a space, decided; a config's ``net``.

    Args:
        factory: of the space.
        arch: its architecture.
    """

    factory: SpaceFactory
    arch: Arch

    def build(self, num_classes: int, side: int, *, seed: int) -> nn.Module:
        """The ordinary network, with weights of its own.

        Args:
            num_classes: logits.
            side: of the images, pixels.
            seed: of the weights.
        """
        space = self.factory.for_retraining().space(num_classes=num_classes, channels=CHANNELS, side=side)
        return space.realise(self.arch, seed=derive_seed(seed, "architecture"))

    def classifier(self, num_classes: int, side: int, *, seed: int) -> Classifier:
        """The same in the shape that everything here has."""
        return wrap_module(self.build(num_classes, side, seed=seed), num_classes, side, CHANNELS)

    def spec(self, num_classes: int, preprocessing: Preprocessing) -> NetworkSpec:
        """What a file says of it."""
        factory = self.factory.for_retraining()
        if isinstance(factory, PublishedSpace) and SPACES.get(factory.name) is type(factory):
            options = {"space": factory.to_json(), "arch": self.arch}
            return NetworkSpec(PREFIX + factory.name, options, num_classes, preprocessing)
        if isinstance(factory, OwnSpace):
            name, arguments = factory.origin
        elif isinstance(factory, PublishedSpace):
            name, arguments = _path(type(factory)), {"kwargs": _without_name(factory.to_json())}
        else:
            name, arguments = _path(type(factory)), {}
        options = {ARCH: {"arch": self.arch, **arguments}}
        return NetworkSpec(name, options, num_classes, preprocessing, user_defined=True)


def _without_name(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != "name"}


def is_published(spec: NetworkSpec) -> bool:
    """Whether a file names a network of a published space."""
    return spec.name.startswith(PREFIX) and not spec.user_defined


def build_published(spec: NetworkSpec) -> Classifier:
    """The untrained network of a published space that a file names.

    Raises:
        AutoDLError: no such space, or an architecture that is not of it.
    """
    factory = space_from_json(spec.options["space"])
    return _with(spec, ChosenNetwork(factory, dict(spec.options["arch"])))


def build_own(spec: NetworkSpec, net: Any) -> Classifier:
    """The untrained network of a user's own space.

    Args:
        spec: what the file says.
        net: what `fit` was given, or what the file's import path leads to.

    Raises:
        PredictorFormatError: it is no space.
        AutoDLError: the architecture is not of it.
    """
    kept = spec.options[ARCH]
    if callable(net) and ("args" in kept or "kwargs" in kept):
        if inspect.isclass(net) and issubclass(net, PublishedSpace):
            net = net(**kept.get("kwargs", {}))
        else:
            net = Space(net, *kept.get("args", ()), **kept.get("kwargs", {}))
    factory = as_factory(net, searched=not isinstance(net, nn.Module | str))
    if factory is None:
        raise PredictorFormatError(f"net=... must give the space of the saved network, it gave {net!r:.80}")
    return _with(spec, ChosenNetwork(factory, dict(kept["arch"])))


def _with(spec: NetworkSpec, chosen: ChosenNetwork) -> Classifier:
    made = chosen.classifier(spec.num_classes, spec.preprocessing.input_size, seed=0)
    made.preprocessing = spec.preprocessing
    return made


class ArchSpace(Composite):
    """The decisions of a space as a part of the engine's search space; builds to a `ChosenNetwork`.

    Conditions are left out: what does not matter in an architecture is dropped when it is built.

    Args:
        factory: of the space.
        space: that it makes for the data.
    """

    __slots__ = ("decided", "factory", "space")

    def __init__(self, factory: SpaceFactory, space: Space) -> None:
        self.factory, self.space = factory, space
        self.decided = tuple(
            (label, Categorical(list(decision.choices))) for label, decision in space.decisions().items()
        )

    def children(self) -> tuple[tuple[str, Any], ...]:
        """A `Categorical` for each decision."""
        return self.decided

    def assemble(self, values: dict[str, Any], extra: Mapping[str, Any]) -> ChosenNetwork:
        """The network of these choices."""
        return ChosenNetwork(self.factory, self.space.validate(values))

    def __repr__(self) -> str:
        return f"ArchSpace({self.factory!r})"
