from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from autodl.training.batches import PixelBatches
from autodl.training.device import PLANS
from autodl.training.evaluate import eval_batches, predict_probs
from autodl.training.preprocess import Preprocess

PREPROCESS = Preprocess()


def expected(net, pixels):
    with torch.no_grad():
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        return net.eval()(PREPROCESS.normalise(images, torch.float32, False)).softmax(1).numpy()


def test_probabilities_of_the_rows_in_order(toy, make_net):
    net, rows = make_net().train(), np.array([5, 0, 77])
    probs = predict_probs(net, toy.pixels, rows, preprocess=PREPROCESS, device="cpu")
    assert net.training  # as it was
    np.testing.assert_allclose(probs, expected(net, toy.pixels[rows]), atol=1e-6)


@pytest.mark.parametrize("plan", ["fp32", "bf16"])
def test_many_images_go_through_a_faster_copy_with_the_same_result(toy, make_net, plan):
    net = make_net()
    probs = predict_probs(net, toy.pixels, preprocess=PREPROCESS, device="cpu", precision=PLANS[plan])
    assert len(probs) == 144
    np.testing.assert_allclose(probs, expected(net, toy.pixels), atol=1e-5 if plan == "fp32" else 0.02)
    np.testing.assert_allclose(probs.sum(1), 1, atol=1e-5)


def test_tta_averages_over_the_mirror_image(toy, make_net):
    net, pixels = make_net(), toy.pixels[:9]
    probs = predict_probs(net, pixels, preprocess=PREPROCESS, device="cpu", tta=True)
    mean = (expected(net, pixels) + expected(net, pixels[:, :, ::-1].copy())) / 2
    np.testing.assert_allclose(probs, mean, atol=1e-6)


def test_the_deadline_cuts_between_batches(toy, make_net):
    batches = PixelBatches(toy.pixels, None, None, 10)
    late = predict_probs(
        make_net(), batches, preprocess=PREPROCESS, device="cpu", deadline=time.monotonic() - 1
    )
    assert len(late) == 0


def test_batches_are_smaller_for_larger_images():
    assert eval_batches(np.zeros((1, 8, 8, 3), np.uint8)).batch_size == 128
    assert eval_batches(np.zeros((1, 224, 224, 3), np.uint8)).batch_size == 6
