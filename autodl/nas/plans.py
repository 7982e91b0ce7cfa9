"""What open decisions do in one call of a network: a plan, held by the call and by no module.

``with active(net, plan): net(x)`` tells every decision of ``net`` what to do. The plan lies in a
context variable under the identities of the network's modules, so that

* threads that share a network run it under plans of their own,
* two networks with equal labels (a teacher and its student) can be active together,
* a copy or a pickle of a network carries no plan.

Context variables do not flow into threads that a call starts itself. ``torch.nn.DataParallel``
starts some: it makes a replica of every module in the calling thread, and `DecisionModule`
leaves the caller's plan with the replica, which lives as long as the call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn

from autodl.errors import PlanError
from autodl.nas.decisions import Conjunction, Decision, When, as_conjunction, find
from autodl.spaces import Value

if TYPE_CHECKING:
    from typing import Self


@dataclass(frozen=True, slots=True)
class Chosen:
    """One choice, and nothing of the others is computed."""

    value: Value


@dataclass(frozen=True, slots=True, eq=False)
class Weighted:
    """All choices, mixed; those with a weight of exactly 0 are left out.

    Attributes:
        weights: (choices,), gradients flow into them.
    """

    weights: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Gate:
    """The output of one choice, with gradients for the gates of several.

    The gate of choice j gets the gradient <dL/dO, o_j>, and hands it on to ``probs[j]`` as it is
    (straight through), for j the active choice and the inactive ones.

    Attributes:
        probs: (choices,), gradients flow into them; their values are not used.
        active: position of the choice that is computed as usual.
        inactive: positions of choices whose outputs are computed without a graph.
        recompute: run the inactive ones in the backward pass and hold none of their outputs.

    Source: Cai, Zhu, Han, ProxylessNAS, 2019, section 3.2.
    """

    probs: Tensor
    active: int
    inactive: tuple[int, ...] = ()
    recompute: bool = False


Selection = Chosen | Weighted | Gate


class Plan(Mapping[str, Selection]):
    """label -> what its decision does; ``a | b`` joins two, b's entries count where both have one."""

    __slots__ = ("_selections",)

    def __init__(self, selections: Mapping[str, Selection]) -> None:
        self._selections = dict(selections)

    def __getitem__(self, label: str) -> Selection:
        return self._selections[label]

    def __iter__(self) -> Iterator[str]:
        return iter(self._selections)

    def __len__(self) -> int:
        return len(self._selections)

    def __or__(self, other: Plan) -> Plan:
        return Plan({**self._selections, **other._selections})

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._selections!r})"


class OneHot(Plan):
    """One architecture: only chosen candidates run, so that the others get no gradient (None).

    Args:
        arch: label -> choice.
    """

    __slots__ = ()

    def __init__(self, arch: Mapping[str, Value]) -> None:
        super().__init__({label: Chosen(value) for label, value in arch.items()})


class Soft(Plan):
    """Every candidate with a weight: DARTS' mixture, or a relaxed sample.

    Args:
        weights: label -> (choices,).
    """

    __slots__ = ()

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__({label: Weighted(tensor) for label, tensor in weights.items()})


class Mask(Soft):
    """Gates on nested sizes: what reads elastic channels reads ``x * sum_i g_i M_i``.

    ``M_i`` keeps the channels of size i. One convolution at full width thus stands for all
    widths. For elastic decisions it is the same as `Soft`; the name says what happens.

    Args:
        gates: label -> (choices,).

    Source: Wan et al., FBNetV2, 2020, equation 3.
    """

    __slots__ = ()


class Gated(Plan):
    """Binary gates: see `Gate`.

    Args:
        gates: label -> a `Gate`, or its ``(probs, active, inactive)``.
    """

    __slots__ = ()

    def __init__(self, gates: Mapping[str, Gate | tuple[Tensor, int, tuple[int, ...]]]) -> None:
        super().__init__(
            {label: gate if isinstance(gate, Gate) else Gate(*gate) for label, gate in gates.items()}
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """A plan and whose it is; the network is held so that identities stay its own."""

    net: nn.Module
    members: frozenset[int]
    plan: Plan


_FRAMES: ContextVar[tuple[_Frame, ...]] = ContextVar("autodl_nas_plans", default=())


@contextmanager
def active(net: nn.Module, plan: Plan) -> Iterator[None]:
    """Within the block, decisions of ``net`` follow ``plan``; blocks nest, the innermost counts.

    Args:
        net: a network with decisions; modules around it do not matter.
        plan: what each decision does. Labels may be missing where nothing asks for them.

    Raises:
        PlanError: the plan has labels that the network does not decide.
    """
    modules = [module for module in net.modules() if isinstance(module, DecisionModule)]
    known = {decision.label for module in modules for decision in module.decisions()}
    unknown = [label for label in plan if label not in known]
    if unknown:
        raise PlanError(
            f"the plan has {len(unknown)} labels that the network does not decide: "
            f"{', '.join(unknown[:5])}; its labels: {', '.join(sorted(known)[:20]) or 'none'}"
        )
    frame = _Frame(net, frozenset(map(id, modules)), plan)
    token = _FRAMES.set((*_FRAMES.get(), frame))
    try:
        yield
    finally:
        _FRAMES.reset(token)


class DecisionModule(nn.Module):
    """A module that leaves decisions open. Derive from it, or use the ones in this package.

    A derived class says what it decides (`decisions`), asks what to do (`selection`) in its
    forward pass, and can become an ordinary module (`realised`).
    """

    _replica_plan: Plan | None = None  # set on DataParallel's replicas only
    when: Conjunction = ()

    def set_when(self, when: When | None) -> None:
        """Keep the user's condition on this module's own decisions."""
        self.when = as_conjunction(when)

    def decisions(self) -> tuple[Decision, ...]:
        """What is open here; ``when`` holds the user's conditions only."""
        raise NotImplementedError

    def guards(self) -> Iterable[tuple[nn.Module, Conjunction]]:
        """Each child, and what must be chosen here for it to run."""
        return [(child, ()) for child in self.children()]

    def realised(self, arch: Mapping[str, Value], *, fresh: bool) -> nn.Module:
        """The ordinary module that this one is under an architecture; may give its own parts away.

        Args:
            arch: a choice for each label of `decisions`.
            fresh: weights of a part in another size are drawn anew, not cut out.
        """
        raise NotImplementedError

    def selection(self, label: str) -> Selection:
        """What the plan of this call says about one of this module's labels.

        Raises:
            PlanError: no plan is active, or it says nothing about the label.
        """
        plan = self._plan()
        found = plan.get(label)
        if found is not None:
            return found
        if self.when:  # inactive, yet run: as `realised` does it
            return Chosen(self._decision(label).choices[0])
        raise PlanError(f"the plan says nothing about {label!r}; it has {', '.join(plan) or 'no labels'}")

    def _decision(self, label: str) -> Decision:
        return next(decision for decision in self.decisions() if decision.label == label)

    def _plan(self) -> Plan:
        for frame in reversed(_FRAMES.get()):
            if id(self) in frame.members:
                return frame.plan
        if self._replica_plan is not None:
            return self._replica_plan
        labels = ", ".join(repr(decision.label) for decision in self.decisions())
        raise PlanError(
            f"the network leaves {labels} open and is run without a plan; use `with autodl.nas.active(net, "
            "OneHot(arch)): net(x)`, or `space.realise(arch)` for an ordinary network"
        )

    def _replicate_for_data_parallel(self) -> Self:
        replica: Self = super()._replicate_for_data_parallel()  # type: ignore[no-untyped-call]
        if any(id(self) in frame.members for frame in _FRAMES.get()):
            object.__setattr__(replica, "_replica_plan", self._plan())
        return replica


def position(decision_label: str, choices: tuple[Value, ...], value: Value) -> int:
    """The position of what a plan chose.

    Raises:
        PlanError: it is none of the choices.
    """
    found = find(choices, value)
    if found is None:
        raise PlanError(f"the plan chooses {value!r} for {decision_label!r}, one of {list(choices)}")
    return found


def check_weights(label: str, count: int, weights: Tensor) -> list[float]:
    """A plan's weights as numbers, their shape checked.

    Raises:
        PlanError: not one weight for each choice.
    """
    if weights.shape != (count,):
        raise PlanError(
            f"{label!r} has {count} choices; the plan's weights have shape {tuple(weights.shape)}"
        )
    numbers: list[float] = weights.detach().tolist()
    return numbers
