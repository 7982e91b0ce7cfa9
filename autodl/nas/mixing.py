"""Several outputs made one, as a plan says."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from autodl.errors import PlanError
from autodl.nas.gates import gated
from autodl.nas.plans import Gate, check_weights


def run_gated(label: str, runs: Sequence[Callable[[], Tensor]], gate: Gate) -> Tensor:
    """The output of a gate's active path, with gradients for its gates.

    Args:
        label: for messages.
        runs: computes each output.
        gate: what the plan says.

    Raises:
        PlanError: the gate does not fit the number of outputs.
    """
    check_weights(label, len(runs), gate.probs)
    if not all(0 <= number < len(runs) for number in (gate.active, *gate.inactive)):
        raise PlanError(f"{label!r} has {len(runs)} choices; the plan's gates are {gate}")
    return gated(runs, gate.probs, gate.active, gate.inactive, recompute=gate.recompute)


def mix(label: str, runs: Sequence[Callable[[], Tensor]], weights: Tensor) -> Tensor:
    """The weighted sum of outputs; those with a weight of exactly 0 are not computed.

    Args:
        label: for messages.
        runs: computes each output.
        weights: (outputs,).

    Raises:
        PlanError: not one weight for each output, or all are 0.
    """
    numbers = check_weights(label, len(runs), weights)
    total: Tensor | None = None
    for number, run in enumerate(runs):
        if numbers[number] != 0:
            output = run()
            part = weights[number].to(output.device) * output
            total = part if total is None else total + part
    if total is None:
        raise PlanError(f"all weights of the plan for {label!r} are 0")
    return total
