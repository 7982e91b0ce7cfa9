"""From a network with open decisions to an ordinary one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain

from torch import nn

from autodl.nas.decisions import Conjunction, Decision, both
from autodl.nas.plans import DecisionModule
from autodl.spaces import Value


def found_decisions(net: nn.Module, under: Conjunction = ()) -> Iterator[Decision]:
    """Every decision of a network as often as it stands there, with what must be chosen around it.

    Args:
        net: a network.
        under: what must be chosen for ``net`` to run.
    """
    if not isinstance(net, DecisionModule):
        for child in net.children():
            yield from found_decisions(child, under)
        return
    for decision in net.decisions():
        own = decision.when or ((),)
        ways = tuple(both(under, conjunction) for conjunction in own)
        yield Decision(decision.label, decision.choices, () if () in ways else ways)
    for child, condition in net.guards():
        yield from found_decisions(child, both(under, condition))


def with_all_labels(arch: Mapping[str, Value], decisions: Mapping[str, Decision]) -> dict[str, Value]:
    """An architecture with the first choice where a decision is inactive."""
    return {label: arch.get(label, decision.choices[0]) for label, decision in decisions.items()}


def placed_like(made: nn.Module, original: nn.Module) -> nn.Module:
    """A module put on the device of the one that it stands for, in its type and mode."""
    floats = (buffer for buffer in original.buffers() if buffer.is_floating_point())
    tensor = next(chain(original.parameters(), floats), None)
    if tensor is not None:
        made = made.to(device=tensor.device, dtype=tensor.dtype)
    return made.train(original.training)


def realise_in_place(net: nn.Module, arch: Mapping[str, Value], *, fresh: bool) -> nn.Module:
    """The ordinary network that ``net`` is under an architecture; takes ``net`` apart.

    Args:
        net: a network with decisions, not to be used afterwards.
        arch: a choice for every label, inactive ones too.
        fresh: weights of parts in another size are drawn anew, not cut out.
    """
    done: dict[int, nn.Module] = {}
    held = [net, *net.modules()]  # so that identities stay their own while parts are dropped

    def replaced(module: nn.Module) -> nn.Module:
        key = id(module)
        if key not in done:
            new = module
            while isinstance(new, DecisionModule):
                new = new.realised(arch, fresh=fresh)
                held.append(new)
            done[key] = done[id(new)] = new
            for name, child in list(new._modules.items()):
                if child is not None:
                    new._modules[name] = replaced(child)
        return done[key]

    return replaced(net)
