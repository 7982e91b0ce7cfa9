"""Descriptions of spaces whose classes and image sizes come later: a task knows them only at fit time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from autodl.checks import check_whole
from autodl.errors import OptionError
from autodl.nas.decisions import Arch, decide
from autodl.nas.picture import Picture
from autodl.nas.space import Space
from autodl.spaces import Value

Probabilities = Mapping[str, Tensor | Sequence[float]]
"""Label -> probability of each choice."""


@runtime_checkable
class SpaceFactory(Protocol):
    """What `ImageClassification.fit(net=...)` takes: a space but for classes, channels and image size."""

    def space(self, *, num_classes: int, channels: int = 3, side: int = 32) -> Space:
        """The space for images (n, channels, side, side).

        Args:
            num_classes: logits of its networks.
            channels: of the images.
            side: of the images, pixels.
        """
        ...

    def for_retraining(self) -> SpaceFactory:
        """The space whose networks, of the same architectures, are trained from scratch in the end."""
        ...


class FactorySpace(Space):
    """A space that knows where it comes from.

    Args:
        factory: its description.
        num_classes: see `SpaceFactory.space`.
        channels: see `SpaceFactory.space`.
        side: see `SpaceFactory.space`.

    Attributes:
        factory: its description.
        num_classes: logits of its networks.
        channels: of the images.
        side: of the images, pixels.
    """

    def __init__(self, factory: PublishedSpace, num_classes: int, channels: int, side: int) -> None:
        check_whole("num_classes", num_classes)
        check_whole("channels", channels)
        check_whole("side", side)
        self.factory = factory
        self.num_classes, self.channels, self.side = num_classes, channels, side
        super().__init__(factory.network, num_classes, channels, side)

    def derive(self, probabilities: Probabilities) -> Arch:
        """The architecture that a method's final probabilities stand for, by the space's own rule.

        Args:
            probabilities: label -> (choices,).
        """
        return self.factory.derive(self, probabilities)

    def pictures(self, arch: Mapping[str, Value]) -> list[Picture]:
        """What a drawing of an architecture shows; empty: the space has no picture of its own."""
        return self.factory.pictures(self.validate(arch))


@dataclass(frozen=True, kw_only=True)
class PublishedSpace:
    """Base of descriptions: frozen, comparable, and JSON-able by name and arguments.

    A derived class has a `name`, its options as fields, and `network`.

    Attributes:
        size: "small", for images of about 32 px and little time, or "large": as published, for 224 px.
    """

    name: ClassVar[str]
    sizes: ClassVar[tuple[str, ...]] = ("small", "large")

    size: str = "small"

    def __post_init__(self) -> None:
        """Refuse unknown sizes."""
        if self.size not in self.sizes:
            raise OptionError(f"{self.name}: size is one of {', '.join(self.sizes)}, got {self.size!r}")

    def network(self, num_classes: int, channels: int, side: int) -> nn.Module:
        """The super-net, with weights from torch's global generator (which `Space` seeds)."""
        raise NotImplementedError

    def space(self, *, num_classes: int, channels: int = 3, side: int = 32) -> FactorySpace:
        """See `SpaceFactory.space`."""
        return FactorySpace(self, num_classes, channels, side)

    def for_retraining(self) -> PublishedSpace:
        """See `SpaceFactory.for_retraining`; most spaces train what they search."""
        return self

    def derive(self, space: Space, probabilities: Probabilities) -> Arch:
        """The likeliest choice of each decision, those that others depend on first."""
        return likeliest(space, probabilities)

    def pictures(self, arch: Arch) -> list[Picture]:
        """See `FactorySpace.pictures`; the architecture is canonical."""
        return []

    def to_json(self) -> dict[str, Any]:
        """Name and arguments; `autodl.nas.spaces.space_from_json` reads it."""
        arguments = {f.name: getattr(self, f.name) for f in fields(self)}
        return {"name": self.name, **{key: _plain(value) for key, value in arguments.items()}}


def _plain(value: Any) -> Any:
    return [_plain(part) for part in value] if isinstance(value, tuple | list) else value


def as_tuples(value: Any) -> Any:
    """JSON's lists as tuples, which frozen descriptions hold."""
    return tuple(as_tuples(part) for part in value) if isinstance(value, list | tuple) else value


def likeliest(space: Space, probabilities: Probabilities) -> Arch:
    """The likeliest choice of each active decision, those that others depend on first.

    Raises:
        OptionError: a label is missing, or has another number of choices.
    """
    return decide(space.decisions(), lambda d: int(row(probabilities, d.label, len(d.choices)).argmax()))


def row(probabilities: Probabilities, label: str, count: int) -> Tensor:
    """One decision's probabilities, (count,), checked.

    Raises:
        OptionError: the label is missing, or has another number of choices.
    """
    if label not in probabilities:
        raise OptionError(f"no probabilities for {label!r}; there are for {list(probabilities)[:5]}")
    values = torch.as_tensor(probabilities[label]).detach().cpu()
    if values.shape != (count,):
        raise OptionError(f"{label!r} has {count} choices, its probabilities shape {tuple(values.shape)}")
    return values
