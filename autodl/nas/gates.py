"""The gradient of binary gates, with the memory of one path."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


class _BinaryGate(torch.autograd.Function):
    """Forward: the active output. Backward: <dL/dO, o_j> for each gate that is looked at."""

    @staticmethod
    def forward(
        ctx: Any,
        probs: Tensor,
        active_out: Tensor,
        active: int,
        outputs: dict[int, Tensor],
        later: Callable[[], dict[int, Tensor]] | None,
    ) -> Tensor:
        ctx.positions = [active, *outputs]
        ctx.later = later
        ctx.shape = probs.shape
        ctx.save_for_backward(active_out, *outputs.values())
        return active_out.view_as(active_out)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        (grad,) = grads
        outputs = dict(zip(ctx.positions, ctx.saved_tensors, strict=True))
        if ctx.later is not None:
            outputs |= ctx.later()
        gates = torch.zeros(ctx.shape, dtype=grad.dtype, device=grad.device)
        for position, output in outputs.items():
            gates[position] = (grad * output).sum()
        return gates, grad, None, None, None


def gated(
    run: Sequence[Callable[[], Tensor]],
    probs: Tensor,
    active: int,
    inactive: Sequence[int],
    *,
    recompute: bool,
) -> Tensor:
    """The output of the active path, with gradients for the gates of the inactive ones, too.

    Args:
        run: computes the output of each path.
        probs: (paths,), get the gates' gradients.
        active: the path that is computed with its graph.
        inactive: paths that are computed without one.
        recompute: compute the inactive ones in the backward pass, not now.

    Source: Cai, Zhu, Han, ProxylessNAS, 2019, equations 3 and 4.
    """

    def outputs() -> dict[int, Tensor]:
        with torch.no_grad():
            return {position: run[position]() for position in inactive}

    later: Callable[[], dict[int, Tensor]] | None = None
    if recompute and inactive:
        # The backward pass may run in another thread, which knows no plan for what is nested here.
        context = contextvars.copy_context()

        def later() -> dict[int, Tensor]:
            return context.copy().run(outputs)

    now = {} if recompute else outputs()
    active_out = run[active]()
    mixed: Tensor = _BinaryGate.apply(probs.to(active_out.device), active_out, active, now, later)
    return mixed
