"""Proxyless's gates: their gradient, the straight-through gradient of alphas, and the memory."""

import pytest
import torch
from torch import Tensor, nn

from autodl.nas import Gate, Gated, OneHot, OpChoice, Soft, active


def conv(kernel: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(4, 12, 1, bias=False),
        nn.BatchNorm2d(12),
        nn.ReLU6(),
        nn.Conv2d(12, 12, kernel, padding=kernel // 2, groups=12, bias=False),
        nn.BatchNorm2d(12),
        nn.ReLU6(),
        nn.Conv2d(12, 4, 1, bias=False),
        nn.BatchNorm2d(4),
    )


def mixed_net(layers: int = 1, candidates: int = 3) -> nn.Module:
    torch.manual_seed(0)
    kernels = [3, 5, 7, 3, 5, 7, 3][:candidates]
    return nn.Sequential(
        *(OpChoice({f"{i}": conv(k) for i, k in enumerate(kernels)}, label=f"op{n}") for n in range(layers))
    )


X = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture(autouse=True)
def _own_randomness():
    with torch.random.fork_rng():
        yield


@pytest.mark.parametrize("recompute", [False, True])
def test_gate_gradient_is_the_inner_product_with_each_output(recompute):
    net = mixed_net().eval().double()
    probs = torch.full((3,), 1 / 3, dtype=torch.float64, requires_grad=True)
    x = X.double()
    with active(net, Gated({"op0": Gate(probs, 1, (0, 2), recompute)})):
        out = net(x)
        loss = (out**3).sum()
    loss.backward()
    outputs = [candidate(x) for candidate in net[0].candidates]
    assert torch.equal(out, outputs[1])
    expected = torch.stack([(3 * out**2 * output).sum() for output in outputs])
    assert torch.allclose(probs.grad, expected, rtol=1e-12)
    # Weights: only the active path's, and the same as without a gate.
    assert all(p.grad is None for n in (0, 2) for p in net[0].candidates[n].parameters())
    found = [p.grad.clone() for p in net[0].candidates[1].parameters()]
    net.zero_grad()
    with active(net, OneHot({"op0": "1"})):
        (net(x) ** 3).sum().backward()
    assert all(
        torch.allclose(a, p.grad) for a, p in zip(found, net[0].candidates[1].parameters(), strict=True)
    )


def test_gate_gradient_reaches_alphas_through_the_softmax():
    """dL/dalpha_i = sum_j dL/dg_j p_j (delta_ij - p_i), whose sum is 0."""
    net = mixed_net().eval().double()
    alpha = torch.tensor([0.3, -0.5, 0.1], dtype=torch.float64, requires_grad=True)
    probs = torch.softmax(alpha, 0)
    probs.retain_grad()
    with active(net, Gated({"op0": (probs, 0, (2,))})):
        net(X.double()).square().sum().backward()
    gates, p = probs.grad, probs.detach()
    assert gates[1] == 0 and gates[0] != 0 and gates[2] != 0
    assert torch.allclose(alpha.grad, (torch.diag(p) - torch.outer(p, p)) @ gates)
    assert abs(float(alpha.grad.sum())) < 1e-10 * float(alpha.grad.abs().max())


def test_the_input_gets_the_active_paths_gradient():
    net = mixed_net().eval()
    x = X.clone().requires_grad_()
    with active(net, Gated({"op0": (torch.ones(3), 1, (0,))})):
        net(x).sum().backward()
    y = X.clone().requires_grad_()
    net[0].candidates[1](y).sum().backward()
    assert torch.allclose(x.grad, y.grad)


def saved_bytes(net: nn.Module, plan) -> int:
    """Distinct memory that autograd keeps for the backward pass."""
    kept: dict[int, int] = {}
    held: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, nn.Parameter):
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
            held.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), active(net, plan):
        net(X.clone().requires_grad_()).sum()
    return sum(kept.values())


def test_memory_of_two_paths_is_about_one_path():
    net = mixed_net(layers=4, candidates=7)
    labels = [f"op{n}" for n in range(4)]
    one = saved_bytes(net, OneHot(dict.fromkeys(labels, "0")))
    probs = torch.full((7,), 1 / 7, requires_grad=True)
    two = saved_bytes(net, Gated({label: (probs, 0, (1,)) for label in labels}))
    rest = tuple(range(1, 7))
    again = saved_bytes(net, Gated({label: Gate(probs, 0, rest, recompute=True) for label in labels}))
    everything = saved_bytes(net, Soft(dict.fromkeys(labels, probs)))
    print(f"saved: two paths {two / one:.3f}, recomputed {again / one:.3f}, mixture {everything / one:.2f}")
    assert two <= 1.15 * one
    assert again <= 1.10 * one
    assert everything >= 6.5 * one


def test_recomputed_paths_keep_the_plan_of_what_is_nested():
    torch.manual_seed(0)
    inner = OpChoice({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3)}, label="inner")
    net = OpChoice({"flat": nn.Linear(3, 3), "deep": inner}, label="outer")
    probs = torch.full((2,), 0.5, requires_grad=True)
    x = torch.ones(1, 3)
    with active(net, OneHot({"inner": "b"}) | Gated({"outer": Gate(probs, 0, (1,), recompute=True)})):
        out = net(x)
    out.sum().backward()  # outside of the block
    assert torch.allclose(probs.grad[1], inner.candidates[1](x).sum().detach())
