"""Networks declared with `autodl.obj` and spaces for arguments, as a space with shared weights.

The labels are those of the engine: ``SearchSpace(net)`` and ``space_from(net)`` take the same configs,
so what was found in one can be built by the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from autodl.errors import PlanError, SpaceError
from autodl.nas.choices import OpChoice
from autodl.nas.decisions import Decision
from autodl.nas.plans import DecisionModule, OneHot, active
from autodl.nas.realise import with_all_labels
from autodl.nas.space import Space
from autodl.nas.unit_choice import UnitChoice, Variant
from autodl.spaces import (
    Categorical,
    Dict,
    Domain,
    List,
    ObjectClass,
    ObjectFunction,
    ObjectSpec,
    SearchSpace,
)
from autodl.spaces.nested import fresh, holds_space, join, walk
from autodl.spaces.objects import accepts

MOST_VARIANTS = 64
"""Variants of one unit; all of them are built, with weights of their own."""

Declared = ObjectSpec | ObjectClass | ObjectFunction


def space_from(net: Any, *, example: Tensor | None = None, **arguments: Any) -> Space:
    """The space of a network whose units are declared with `autodl.obj`.

    A unit whose arguments hold `Categorical`, `Int` or `Bool` is built in every variant, and each such
    argument becomes a decision. A `Categorical` of units or modules becomes a choice between them. A
    row of units (a list, a tuple, `autodl.List`) becomes a `torch.nn.Sequential` where it is the
    network itself or a choice; as an argument it stays a list, as in a training.

    Args:
        net: a row of units and modules, or a network's own spec, whose arguments may hold units.
        example: an input; every unit is then tried in every variant, and must keep one shape.
        **arguments: known only now (``num_classes=10``): given to the network's spec, or to the units of
            the row, where they take them and name none themselves.

    Returns:
        A space whose architectures are configs of ``autodl.SearchSpace(net)``.

    Raises:
        SpaceError: nothing is open; an argument has no finite number of values; a unit has too many
            variants, or variants that differ in the shape of their output.

    Example:
        >>> from autodl.spaces import Categorical, obj
        >>> @obj()
        ... class Unit(nn.Conv2d): ...
        >>> net = [Unit(3, 8, kernel_size=Categorical(1, 3), padding="same"), nn.Flatten()]
        >>> list(space_from(net).enumerate())
        [{'0/kernel_size': 1}, {'0/kernel_size': 3}]
    """
    if not holds_space(net):
        raise SpaceError(f"nothing is open in {net!r:.200}; a unit is a class under autodl.obj")
    space = Space(_network, net, dict(arguments))
    if example is not None:
        check_shapes(space, example)
    return space


@dataclass(frozen=True)
class Units:
    """A network of declared units, as what a task takes for a space: classes come at fit time.

    Args:
        net: see `space_from`. Where its parts take ``num_classes`` or ``input_size`` and name none
            themselves, they are told.
        check: try every unit in every variant on an image first.

    Example::

        net = ad.nas.Units([ResUnit(3, 8, kernel=ad.Categorical(3, 5)), ..., Head(8)])
        ImageClassification.fit("cats/train", net=net, nas="enas")
    """

    net: Any
    check: bool = field(default=True, kw_only=True)

    def space(self, *, num_classes: int, channels: int = 3, side: int = 32) -> Space:
        """The space for images (n, channels, side, side)."""
        example = torch.zeros(2, channels, side, side) if self.check else None
        return space_from(self.net, example=example, num_classes=num_classes, input_size=side)

    def for_retraining(self) -> Units:
        """Units are trained as they are searched."""
        return self


def _network(net: Any, arguments: Mapping[str, Any]) -> nn.Module:
    return _module(net, "", arguments)


def _module(node: Any, label: str, extra: Mapping[str, Any]) -> nn.Module:
    """The module that stands for a node, with its choices open."""
    if isinstance(node, Declared):
        return _unit(node, label, extra)
    if isinstance(node, Categorical):
        if not holds_modules(node):
            raise SpaceError(
                f"{label or 'the network'}: a choice between modules needs modules, got {node!r:.200}"
            )
        candidates = {
            str(name): _module(choice, join(label, str(name)), extra)
            for name, choice in zip(node.names, node.choices, strict=True)
        }
        return OpChoice(candidates, label=label or "value")
    row = node.elements if isinstance(node, List) else node
    if isinstance(row, list | tuple):
        return nn.Sequential(*(_module(part, join(label, str(i)), extra) for i, part in enumerate(row)))
    if not isinstance(node, nn.Module):
        raise SpaceError(
            f"{label or 'the network'} is no unit and no module but {node!r:.200}; "
            "a unit is a class under autodl.obj, called with its arguments"
        )
    made: nn.Module = fresh(node)
    return made


def _unit(node: Declared, label: str, extra: Mapping[str, Any]) -> nn.Module:
    """A unit's variants, or the one module of a unit that leaves nothing of its own open."""
    spec = node if isinstance(node, ObjectSpec) else ObjectSpec(node.target, node.arguments)
    arguments = dict(spec.arguments)
    given = {k: v for k, v in extra.items() if k not in arguments and accepts(spec.target, k)}
    own = {k: v for k, v in arguments.items() if holds_space(v) and not holds_modules(v)}

    def build(values: Mapping[str, Any]) -> nn.Module:
        parts = {
            key: values[key] if key in own else _argument(value, join(label, key), extra)
            for key, value in arguments.items()
        }
        made = spec.assemble(parts, given)
        if not isinstance(made, nn.Module):
            raise SpaceError(
                f"{label or 'the network'}: {spec.__name__} makes {type(made).__name__}, no module"
            )
        return made

    return _variants(Dict(own), label, spec.__name__, build) if own else build({})


def _variants(
    own: Dict, label: str, name: str, build: Callable[[Mapping[str, Any]], nn.Module]
) -> UnitChoice:
    where = f"{name}{f' ({label})' if label else ''}"
    decisions = [_decision(where, *found) for found in walk(own, label)]
    space = SearchSpace(own)
    count = space.size
    if count is None or count > MOST_VARIANTS:
        raise SpaceError(
            f"{where} has {count} variants, at most {MOST_VARIANTS} are built; "
            f"narrow {', '.join(d.label for d in decisions)}"
        )
    variants: list[Variant] = []
    for config in space.enumerate():
        values = {key: space.build_part(config, key) for key in dict(own.items)}
        variants.append(({join(label, key): value for key, value in config.items()}, build(values)))
    return UnitChoice(decisions, variants)


def _decision(where: str, label: str, domain: Domain, conditions: tuple[tuple[str, Any], ...]) -> Decision:
    if domain.size is None:
        raise SpaceError(
            f"{where}: {label} is {domain!r}, which has no end of values; name some: Categorical(...)"
        )
    when = tuple((parent, (value,)) for parent, value in conditions)
    return Decision(label, tuple(domain.values()), (when,) if when else ())


def _argument(value: Any, label: str, extra: Mapping[str, Any]) -> Any:
    """An argument of a unit: modules with their choices open, rows of them as they are, constants."""
    if not holds_space(value):
        return fresh(value)
    if isinstance(value, Declared | Categorical):
        return _module(value, label, extra)
    if isinstance(value, dict | Dict):
        pairs = value.items if isinstance(value, Dict) else tuple(value.items())
        return {key: _argument(part, join(label, str(key)), extra) for key, part in pairs}
    row = [_argument(part, join(label, str(i)), extra) for i, part in enumerate(value)]
    return getattr(type(value), "_make", tuple)(row) if isinstance(value, tuple) else row


def holds_modules(node: Any) -> bool:
    """Whether a node stands for modules: units, modules, choices between them, or rows with one."""
    if isinstance(node, ObjectFunction):
        return False  # nobody knows what it makes before it is called
    if isinstance(node, ObjectSpec | ObjectClass):
        return isinstance(node.target, type) and issubclass(node.target, nn.Module)
    if isinstance(node, Categorical):
        return all(map(holds_modules, node.choices))
    if isinstance(node, dict | Dict):
        return any(map(holds_modules, node.values() if isinstance(node, dict) else dict(node.items).values()))
    if isinstance(node, list | tuple | List):
        return any(map(holds_modules, node.elements if isinstance(node, List) else node))
    return isinstance(node, nn.Module)


def check_shapes(space: Space, example: Tensor) -> None:
    """Try every choice of every unit on the input that it gets in the network.

    Args:
        space: of a network made of units.
        example: what the network is called with.

    Raises:
        SpaceError: a variant does not take the input, or gives another shape than the first.
    """
    net = space.supernet(0).eval()
    first = with_all_labels({}, space.decisions())
    found: list[tuple[DecisionModule, tuple[Any, ...], dict[str, Any]]] = []

    def note(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        assert isinstance(module, DecisionModule)
        found.append((module, args, kwargs))

    for module in _choices(net):
        module.register_forward_pre_hook(note, with_kwargs=True)
    with torch.no_grad(), active(net, OneHot(first)):
        try:
            net(example)
        except PlanError:
            raise
        except Exception as error:
            raise SpaceError(f"the network does not take an input {tuple(example.shape)}: {error}") from error
        for choice, args, kwargs in tuple(found):
            _check_one(choice, args, kwargs)


def _choices(net: nn.Module) -> Iterator[UnitChoice | OpChoice]:
    for module in net.modules():
        if isinstance(module, UnitChoice | OpChoice):
            yield module


def _check_one(module: DecisionModule, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    assert isinstance(module, UnitChoice | OpChoice)
    named: list[tuple[Any, nn.Module]] = (
        list(zip(module.configs, module.variants, strict=True))
        if isinstance(module, UnitChoice)
        else [({module.label: n}, m) for n, m in zip(module.names, module.candidates, strict=True)]
    )
    shapes: list[Any] = []
    for config, candidate in named:
        try:
            shapes.append(_shape(candidate(*args, **kwargs)))
        except (RuntimeError, ValueError, TypeError) as error:
            raise SpaceError(f"{config} does not take the input {_shape(list(args))}: {error}") from error
        if shapes[-1] != shapes[0]:
            raise SpaceError(
                f"{config} gives {shapes[-1]}, {named[0][0]} gives {shapes[0]} for the input "
                f"{_shape(list(args))}; units in a space with shared weights keep one shape of output: let "
                "the unit end with a layer of fixed size, or leave the argument fixed"
            )


def _shape(output: Any) -> Any:
    if isinstance(output, Tensor):
        return tuple(output.shape)
    return [_shape(part) for part in output] if isinstance(output, list | tuple) else type(output).__name__
