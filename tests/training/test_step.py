from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from autodl.errors import TrialError
from autodl.training.device import PrecisionPlan
from autodl.training.mixing import Mixed
from autodl.training.options import TrainOptions
from autodl.training.step import TrainStep, is_out_of_memory, set_train_mode

CPU = torch.device("cpu")
IMAGES = torch.randn(12, 3, 4, 4, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(12) % 3


def linear() -> nn.Module:
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
    nn.init.constant_(net[1].weight, 0.01)
    nn.init.zeros_(net[1].bias)
    return net


class Fussy(nn.Module):
    """Runs out of memory on more than ``most`` images."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.net, self.most, self.sizes = linear(), most, []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(x))
        if len(x) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return self.net(x)


def made(
    net: nn.Module, options: TrainOptions | None = None, weight: torch.Tensor | None = None
) -> TrainStep:
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    return TrainStep(net, optimizer, options or TrainOptions(), PrecisionPlan(), weight, CPU)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_a_step_is_the_textbook_step():
    net = linear()
    expected = copy.deepcopy(net)
    optimizer = torch.optim.SGD(expected.parameters(), lr=0.1)
    loss = F.cross_entropy(expected(IMAGES), LABELS, label_smoothing=0.1)
    loss.backward()
    nn.utils.clip_grad_norm_(expected.parameters(), 0.5)
    optimizer.step()
    step = made(net, TrainOptions(label_smoothing=0.1, clip_norm=0.5))
    step(IMAGES, LABELS, generator())
    assert step.mean_loss() == pytest.approx(loss.item())
    torch.testing.assert_close(net[1].weight, expected[1].weight)


def test_out_of_memory_splits_the_batch_without_changing_the_step():
    fussy, whole = Fussy(most=3), Fussy(most=99)
    split_step, whole_step = made(fussy), made(whole)
    split_step(IMAGES, LABELS, generator())
    whole_step(IMAGES, LABELS, generator())
    torch.testing.assert_close(fussy.net[1].weight, whole.net[1].weight)
    assert split_step.mean_loss() == pytest.approx(whole_step.mean_loss())
    assert split_step.parts == 4
    fussy.sizes.clear()
    split_step(IMAGES, LABELS, generator())
    assert fussy.sizes == [3, 3, 3, 3]  # the next step starts with what fitted


def test_two_images_that_do_not_fit_are_an_error_with_a_way_out():
    with pytest.raises(TrialError, match="out of memory with 3 images at a time; take a smaller network"):
        made(Fussy(most=0))(IMAGES, LABELS, generator())


def test_other_runtime_errors_are_not_taken_for_it():
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        made(linear())(IMAGES[..., :2], LABELS, generator())


def test_is_out_of_memory():
    assert is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: ..."))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("size mismatch"))


def test_a_loss_that_is_not_finite_names_epoch_and_step():
    step = made(linear())
    step.begin_epoch(4)
    step(IMAGES, LABELS, generator())
    with pytest.raises(TrialError, match="loss is NaN at epoch 4 step 2; lower the learning rate"):
        step(IMAGES * torch.nan, LABELS, generator())
    step.begin_epoch(5)
    with pytest.raises(TrialError, match="loss is NaN at epoch 5 step 1"):
        step(IMAGES * torch.inf, LABELS, generator())


def test_class_weights_weigh_classes():
    weight = torch.tensor([1.0, 0.0, 0.0])
    step = made(linear(), weight=weight)
    logits = torch.randn(12, 3, generator=generator())
    only = LABELS == 0
    loss = step.loss(logits, Mixed(IMAGES, LABELS, LABELS, 1.0))
    torch.testing.assert_close(loss, F.cross_entropy(logits[only], LABELS[only]))


def test_the_loss_of_a_mixed_batch_is_shared():
    step = made(linear())
    logits, others = torch.randn(12, 3, generator=generator()), LABELS.flip(0)
    loss = step.loss(logits, Mixed(IMAGES, LABELS, others, 0.7))
    expected = 0.7 * F.cross_entropy(logits, LABELS) + 0.3 * F.cross_entropy(logits, others)
    torch.testing.assert_close(loss, expected)


def test_frozen_batch_norm_keeps_its_statistics():
    net = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm2d(3))
    net[0].requires_grad_(False)
    set_train_mode(net)
    net(IMAGES + 5)
    assert net[0].running_mean.tolist() == [0, 0, 0]
    assert net[1].running_mean.abs().sum() > 0


def test_replicas_give_the_gradients_of_the_whole_batch():
    whole, split = linear(), linear()
    made(whole)(IMAGES, LABELS, generator())
    step = made(split, TrainOptions(replicas=3))
    step(IMAGES, LABELS, generator())
    step.close()
    for one, other in zip(whole.parameters(), split.parameters(), strict=True):
        torch.testing.assert_close(one, other)
    assert step.mean_loss() > 0


def test_replicas_share_weights_but_not_statistics():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 3))
    step = made(net, TrainOptions(replicas=2))
    first, second = step.replicas
    assert first is net and second[0].weight is net[0].weight
    assert second[1].running_mean is not net[1].running_mean
    before = net[0].weight.detach().clone()
    step.begin_epoch(1)
    step(IMAGES, LABELS, generator())
    step.close()
    assert not torch.equal(before, second[0].weight)
    expected = nn.functional.conv2d(IMAGES[:6], before, net[0].bias).mean((0, 2, 3))
    torch.testing.assert_close(net[1].running_mean, 0.1 * expected, atol=1e-2, rtol=0.2)


def test_an_error_in_a_replica_reaches_the_caller():
    class Picky(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = linear()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if (x[:, 0, 0, 0] == 99).any():
                raise ValueError("picky")
            return self.net(x)

    step = made(Picky(), TrainOptions(replicas=2))
    images = IMAGES.clone()
    images[-1] = 99
    with pytest.raises(ValueError, match="picky"):
        step(images, LABELS, generator())
    step.close()
