import pytest
import torch
from torch import nn

from autodl.nas import OpChoice, Soft, Space
from autodl.nas.bilevel import architecture_gradient, loss_at, second_order_term, sgd_direction


@pytest.mark.parametrize(("xi", "fixed_point"), [(0.0, 2.0), (0.1, 2 / 1.2), (0.25, 2 / 1.5), (0.5, 1.0)])
def test_the_papers_toy_problem_has_its_fixed_point(xi, fixed_point):
    """L_train = w^2 - 2 alpha w + alpha^2, L_val = alpha w - 2 alpha + 1: alpha = w = 2 / (1 + 2 xi)."""
    w = torch.tensor(-2.0, dtype=torch.float64, requires_grad=True)
    alpha = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)

    def train_loss(weights):
        return weights["w"] ** 2 - 2 * alpha * weights["w"] + alpha**2

    def val_loss(weights):
        return alpha * weights["w"] - 2 * alpha + 1

    for _ in range(400):
        (grad,) = architecture_gradient({"w": w}, [alpha], train_loss, val_loss, xi=xi)
        with torch.no_grad():
            alpha -= 0.2 * grad
        (inner,) = torch.autograd.grad(train_loss({"w": w}), [w])
        with torch.no_grad():
            w -= 0.2 * inner
    assert float(alpha.detach()) == pytest.approx(fixed_point, abs=1e-9)
    assert float(w.detach()) == pytest.approx(fixed_point, abs=1e-9)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        ops = {
            "tanh": nn.Sequential(nn.Linear(3, 3), nn.Tanh()),
            "line": nn.Linear(3, 3),
            "skip": nn.Identity(),
        }
        self.op = OpChoice(ops, label="op")
        self.head = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2))

    def forward(self, x):
        return self.head(self.op(x))


def problem():
    net = Space(Net).supernet(0).double()
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 16, 3, generator=generator, dtype=torch.float64)
    y = torch.randint(2, (2, 16), generator=generator)
    alpha = torch.tensor([0.3, -0.1, 0.2], dtype=torch.float64, requires_grad=True)

    def losses(part):
        def loss(logits):
            return nn.functional.cross_entropy(logits, y[part])

        return loss_at(net, lambda: Soft({"op": alpha.softmax(0)}), loss, x[part])

    return net, alpha, losses(0), losses(1)


def exact_term(weights, alpha, train_loss, vector):
    grads = torch.autograd.grad(train_loss(weights), list(weights.values()), create_graph=True)
    product = sum((g * v).sum() for g, v in zip(grads, vector.values(), strict=True))
    return torch.autograd.grad(product, [alpha])[0]


def test_the_second_order_term_is_autograds():
    """The term, not the total: with a wrong factor the total still looks right."""
    net, alpha, train_loss, val_loss = problem()
    weights = dict(net.named_parameters())
    grads = torch.autograd.grad(val_loss(weights), list(weights.values()))
    vector = dict(zip(weights, grads, strict=True))
    exact = exact_term(weights, alpha, train_loss, vector)
    errors = []
    for radius in (0.02, 0.01):
        (found,) = second_order_term(weights, [alpha], train_loss, vector, radius=radius)
        errors.append(float((found - exact).norm() / exact.norm()))
    assert errors[1] <= 1e-4
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.05)  # falls with the square of the radius


def test_the_total_is_autograds_through_the_step():
    net, alpha, train_loss, val_loss = problem()
    weights = dict(net.named_parameters())
    xi = 0.1
    grads = torch.autograd.grad(train_loss(weights), list(weights.values()), create_graph=True)
    moved = {n: w - xi * g for (n, w), g in zip(weights.items(), grads, strict=True)}
    (exact,) = torch.autograd.grad(val_loss(moved), [alpha])
    (found,) = architecture_gradient(weights, [alpha], train_loss, val_loss, xi=xi)
    assert torch.allclose(found, exact, atol=1e-6)
    (first,) = architecture_gradient(weights, [alpha], train_loss, val_loss, xi=0.0)
    assert not torch.allclose(first, exact, atol=1e-4)  # the test tells the two apart


def test_statistics_are_not_moved():
    net, alpha, train_loss, val_loss = problem()
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    architecture_gradient(dict(net.named_parameters()), [alpha], train_loss, val_loss, xi=0.1)
    assert all(torch.equal(before[name], buffer) for name, buffer in net.named_buffers())


def test_the_inner_step_is_the_optimizers():
    net, _, train_loss, _ = problem()
    weights = dict(net.named_parameters())
    optimizer = torch.optim.SGD(weights.values(), lr=0.1, momentum=0.9, weight_decay=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        train_loss(weights).backward()
        expected = sgd_direction(optimizer, weights)({n: w.grad.clone() for n, w in weights.items()})
        before = {name: w.detach().clone() for name, w in weights.items()}
        optimizer.step()
        for name, w in weights.items():
            assert torch.allclose(w.detach(), before[name] - 0.1 * expected[name])
