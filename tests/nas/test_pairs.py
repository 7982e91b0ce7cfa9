import pytest
import torch

from autodl.nas.pairs import Pair, rescale_pair


def test_rescaling_leaves_all_other_probabilities_untouched():
    before = torch.tensor([0.3, -1.2, 0.8, 0.1, 2.0], dtype=torch.float64)
    alpha, paths = before.clone(), torch.tensor([3, 1])
    alpha[paths] += torch.tensor([0.5, -0.2], dtype=torch.float64)
    moved = alpha.clone()
    rescale_pair(alpha, before, paths)
    others = [0, 2, 4]
    assert torch.allclose(alpha.softmax(0)[others], before.softmax(0)[others], rtol=1e-12, atol=0)
    assert not torch.allclose(moved.softmax(0)[others], before.softmax(0)[others], rtol=1e-3)
    assert float(alpha[3] - alpha[1]) == pytest.approx(float(moved[3] - moved[1]))


def test_pairs_are_drawn_by_probability_and_the_active_one_by_its_share():
    alpha = torch.tensor([1.0, 0.0, -1.0])
    p = alpha.softmax(0)
    generator = torch.Generator().manual_seed(0)
    counts = torch.zeros(3, 3)
    for _ in range(20_000):
        first, second = Pair.draw(alpha, generator).paths.tolist()
        counts[first, second] += 1
    expected = torch.zeros(3, 3)
    for i in range(3):
        for j in range(3):
            if i != j:  # without replacement, in either order, then i is active with its share of the two
                drawn = p[i] * p[j] / (1 - p[i]) + p[j] * p[i] / (1 - p[j])
                expected[i, j] = drawn * p[i] / (p[i] + p[j])
    assert torch.allclose(counts / counts.sum(), expected, atol=0.01)


def test_the_pair_keeps_its_mass_and_its_gradient_is_the_softmax_jacobian():
    alpha = torch.tensor([0.4, -0.3, 0.9], requires_grad=True)
    pair = Pair.draw(alpha, torch.Generator().manual_seed(1))
    probs = pair.spread(alpha.softmax(0), pair.mass * pair.shares)
    assert torch.allclose(probs.detach(), alpha.detach().softmax(0))
    gate = torch.tensor([1.5, -0.5])
    (pair.shares * gate).sum().backward()
    q = pair.shares.detach()
    expected = q * (gate - (q * gate).sum())
    assert torch.allclose(alpha.grad[pair.paths], expected, atol=1e-7)
    idle = next(i for i in range(3) if i not in pair.paths.tolist())
    assert float(alpha.grad[idle]) == 0.0
