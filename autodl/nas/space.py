"""A space of architectures: an ordinary network in which some decisions are open."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from autodl.errors import ConfigError, SpaceError
from autodl.nas.counting import as_search_space, count, every_arch
from autodl.nas.decisions import Arch, Decision, collect, decide
from autodl.nas.realise import found_decisions, realise_in_place, with_all_labels
from autodl.rng import derive_seed
from autodl.spaces import SearchSpace, Value

Randomness = np.random.Generator | torch.Generator


class Space:
    """The architectures that a network with decision points stands for.

    An architecture is a flat JSON dict, label -> choice; labels that do not matter (decisions
    within a candidate that is not chosen) are absent.

    Args:
        net: makes a network (a class or a function), or is one, which is copied.
        *args: for ``net``, if it is called.
        **kwargs: for ``net``, if it is called.

    Raises:
        SpaceError: the network leaves nothing open, or its decisions contradict each other.

    Example:
        >>> space = Space(lambda: OpChoice({"a": nn.Linear(2, 2), "b": nn.Identity()}, label="op"))
        >>> space.size(), list(space.enumerate())
        (2, [{'op': 'a'}, {'op': 'b'}])
    """

    def __init__(self, net: Callable[..., nn.Module] | nn.Module, *args: Any, **kwargs: Any) -> None:
        if isinstance(net, nn.Module):
            if args or kwargs:
                raise SpaceError("arguments go with a class or function; the given network exists already")
            net = copy.deepcopy(net)
        elif not callable(net):
            raise SpaceError(f"a space needs a network or what makes one, got {net!r}")
        self._net, self._args, self._kwargs = net, args, kwargs
        self._decisions = collect(found_decisions(self._build(0)))
        if not self._decisions:
            raise SpaceError(
                "the network leaves nothing open; put an OpChoice, InputChoice, Repeat or elastic layer in"
            )

    def _build(self, seed: int) -> nn.Module:
        if isinstance(self._net, nn.Module):
            return copy.deepcopy(self._net)
        with seeded(derive_seed(seed, "network")):
            net = self._net(*self._args, **self._kwargs)
        if not isinstance(net, nn.Module):
            raise SpaceError(f"{self._net!r} made {type(net).__name__}, not a torch.nn.Module")
        return net

    def __repr__(self) -> str:
        lines = [f"  {d.label}: {list(d.choices)}" for d in self._decisions.values()]
        return "\n".join(["Space(", *lines, ")"])

    # Architectures

    def decisions(self) -> dict[str, Decision]:
        """Label -> decision, those that others depend on first."""
        return dict(self._decisions)

    def size(self) -> int:
        """The exact number of different architectures."""
        return count(self._decisions)

    def search_space(self) -> SearchSpace:
        """The same decisions for searchers of the engine; ``validate(config)`` is the architecture.

        Conditions that the engine cannot express are left out, so it may count more configs than
        there are architectures.
        """
        return as_search_space(self._decisions)

    def sample(self, rng: Randomness | int) -> Arch:
        """An architecture: each active decision drawn uniformly, those that others depend on first.

        Args:
            rng: numpy's or torch's generator, or a seed.
        """
        if isinstance(rng, int):
            rng = np.random.default_rng(rng)
        return decide(self._decisions, lambda decision: draw_index(rng, len(decision.choices)))

    def enumerate(self) -> Iterator[Arch]:
        """All architectures, the last label changing fastest."""
        return every_arch(self._decisions)

    def validate(self, arch: Mapping[str, Value]) -> Arch:
        """The architecture in its canonical form: labels in order, inactive ones absent.

        Raises:
            ConfigError: a label is missing or unknown, or a value is no choice; lists every problem.
        """
        if not isinstance(arch, Mapping):
            raise ConfigError(f"an architecture is a mapping of labels to choices, got {type(arch).__name__}")
        canonical: Arch = {}
        problems = [self._unknown(label) for label in arch if label not in self._decisions]
        for label, decision in self._decisions.items():
            is_active = decision.is_active(canonical)
            if label not in arch:
                problems += [f"{label}: missing"] if is_active else []
                continue
            number = decision.index(arch[label])
            if number is None:
                problems.append(f"{label}: must be one of {list(decision.choices)}, got {arch[label]!r}")
            elif is_active:
                canonical[label] = decision.choices[number]
        if problems:
            shown = "\n  ".join(problems[:20])
            raise ConfigError(
                f"the architecture does not fit the space, {len(problems)} problems:\n  {shown}"
            )
        return canonical

    def _unknown(self, label: object) -> str:
        near = difflib.get_close_matches(str(label), self._decisions, n=1)
        return f"{label}: unknown label" + (f"; did you mean {near[0]!r}?" if near else "")

    # Networks

    def supernet(self, seed: int = 0) -> nn.Module:
        """The network with all candidates; runs under a plan, see `autodl.nas.active`.

        Args:
            seed: of its weights, where the space was given what makes a network.
        """
        return self._build(seed)

    def realise(
        self, arch: Mapping[str, Value], inherit: nn.Module | None = None, seed: int = 0
    ) -> nn.Module:
        """The ordinary network of an architecture, with the chosen candidates only.

        Args:
            arch: an architecture.
            inherit: a super-net of this space whose weights are copied; without it they are drawn
                with ``seed``.
            seed: of the weights.

        Returns:
            A network of its own that equals ``inherit`` under ``OneHot(arch)``, mode and device too.

        Raises:
            ConfigError: the architecture does not belong to the space.
        """
        full = with_all_labels(self.validate(arch), self._decisions)
        net = self._build(seed) if inherit is None else copy.deepcopy(inherit)
        with seeded(derive_seed(seed, "realise")):
            return realise_in_place(net, full, fresh=inherit is None)


def draw_index(rng: Randomness, count: int) -> int:
    """A whole number in [0, count)."""
    if isinstance(rng, torch.Generator):
        return int(torch.randint(count, (1,), generator=rng, device=rng.device))
    return int(rng.integers(count))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Modules draw their first weights from torch's global generator: seed it, then put it back."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
