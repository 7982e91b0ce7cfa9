"""The gradient of a bilevel problem: architecture parameters judged at weights that follow them.

``min_alpha L_val(w*(alpha), alpha)`` with ``w* = argmin_w L_train(w, alpha)``. One step of descent
stands for the inner minimum:

    w' = w - xi * d(w, alpha)
    dL_val/dalpha = grad_alpha L_val(w', alpha) - xi * grad^2_{alpha,w} L_train(w, alpha) . grad_w' L_val

Source: Liu, Simonyan, Yang, "DARTS: Differentiable Architecture Search", 2019, equations 6 to 8.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from autodl.nas.plans import Plan, active

Weights = Mapping[str, Tensor]
Loss = Callable[[Weights], Tensor]
"""A loss, (), as a function of weights; the architecture parameters are in it."""

RADIUS = 0.01
"""The finite difference moves all weights together by this length (DARTS, section 2.3)."""


def architecture_gradient(
    weights: Weights,
    alphas: Sequence[Tensor],
    train_loss: Loss,
    val_loss: Loss,
    *,
    xi: float,
    direction: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]] = lambda grads: grads,
    radius: float = RADIUS,
) -> list[Tensor]:
    """The gradient of the validation loss after one step of the weights.

    Args:
        weights: name -> tensor, w.
        alphas: architecture parameters, which both losses depend on.
        train_loss: L_train.
        val_loss: L_val.
        xi: learning rate of the inner step; 0: first order, the weights as they are.
        direction: gradients of L_train at w -> d, what the optimizer would step along (momentum and
            weight decay); must have the gradient's own slope.
        radius: of the finite difference.

    Returns:
        A gradient for each of `alphas`; zeros where neither loss depends on it.
    """
    if xi == 0:
        return _gradients(val_loss(weights), alphas)
    names = list(weights)
    grads = _gradients(train_loss(weights), [weights[name] for name in names])
    step = direction(dict(zip(names, grads, strict=True)))
    moved = {
        name: (weights[name].detach() - xi * step[name]).requires_grad_(weights[name].requires_grad)
        for name in names
    }
    both = _gradients(val_loss(moved), [*alphas, *moved.values()])
    outer, pull = both[: len(alphas)], both[len(alphas) :]
    term = second_order_term(weights, alphas, train_loss, dict(zip(names, pull, strict=True)), radius=radius)
    return [first - xi * second for first, second in zip(outer, term, strict=True)]


def second_order_term(
    weights: Weights,
    alphas: Sequence[Tensor],
    train_loss: Loss,
    vector: Weights,
    *,
    radius: float = RADIUS,
) -> list[Tensor]:
    """``grad^2_{alpha,w} L_train(w, alpha) . v`` by a central difference along v.

    Args:
        weights: name -> tensor, w.
        alphas: architecture parameters.
        train_loss: L_train.
        vector: name -> tensor, v.
        radius: length of the step along v; the error falls with its square.
    """
    length = torch.sqrt(sum((v.detach().double() ** 2).sum() for v in vector.values()) + torch.zeros(()))
    if float(length) == 0:
        return [torch.zeros_like(alpha) for alpha in alphas]
    epsilon = radius / float(length)
    sides = []
    for sign in (1, -1):
        moved = {name: w.detach() + sign * epsilon * vector[name] for name, w in weights.items()}
        sides.append(_gradients(train_loss(moved), alphas))
    return [(plus - minus) / (2 * epsilon) for plus, minus in zip(*sides, strict=True)]


def sgd_direction(
    optimizer: torch.optim.SGD, weights: Weights
) -> Callable[[Mapping[str, Tensor]], dict[str, Tensor]]:
    """What SGD steps along: gradient, weight decay and the momentum so far (not Nesterov's).

    Args:
        optimizer: of the weights.
        weights: name -> the optimizer's own parameters.
    """
    settings = {id(w): group for group in optimizer.param_groups for w in group["params"]}

    def direction(grads: Mapping[str, Tensor]) -> dict[str, Tensor]:
        steps = {}
        for name, grad in grads.items():
            weight = weights[name]
            group = settings.get(id(weight))
            if group is None:
                steps[name] = torch.zeros_like(grad)
                continue
            held = optimizer.state[weight].get("momentum_buffer") if weight in optimizer.state else None
            step = grad + group["weight_decay"] * weight.detach()
            steps[name] = step if held is None else step + group["momentum"] * held
        return steps

    return direction


def loss_at(net: nn.Module, plan: Callable[[], Plan], loss: Callable[[Tensor], Tensor], x: Tensor) -> Loss:
    """A network's loss as a function of its weights; its buffers (BN statistics) are not moved.

    Args:
        net: a super-net.
        plan: made anew in each call, with gradients to the architecture parameters.
        loss: logits -> ().
        x: (n, ...) inputs.
    """

    def at(weights: Weights) -> Tensor:
        # Copies: in training mode each pass moves running statistics, and these passes are no training.
        buffers = {name: buffer.detach().clone() for name, buffer in net.named_buffers()}
        with active(net, plan()):
            logits = torch.func.functional_call(net, {**weights, **buffers}, (x,))
        return loss(logits)

    return at


def _gradients(loss: Tensor, tensors: Sequence[Tensor]) -> list[Tensor]:
    wanted = [tensor for tensor in tensors if tensor.requires_grad]
    found = iter(torch.autograd.grad(loss, wanted, allow_unused=True) if wanted else ())
    grads = [next(found) if tensor.requires_grad else None for tensor in tensors]
    return [
        torch.zeros_like(tensor) if grad is None else grad
        for tensor, grad in zip(tensors, grads, strict=True)
    ]
