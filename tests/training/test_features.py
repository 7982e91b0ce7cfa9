from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from autodl.errors import OptionError
from autodl.models.network import build_network
from autodl.training.device import PLANS, PrecisionPlan
from autodl.training.features import extract_features, feature_key, open_features
from autodl.training.preprocess import Preprocess

FP32 = PrecisionPlan()
VIEWS = ("centre", "flip", "crop0", "crop1")


@pytest.fixture(scope="module")
def net():
    return build_network("small_resnet", 3, input_size=8, width=8, blocks=1, seed=0).eval()


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (21, 10, 10, 3), dtype=np.uint8)


def reference(net, pixels):
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    preprocess = Preprocess.of(net.preprocessing)
    with torch.no_grad():
        return net.backbone(preprocess.normalise(preprocess.view(images), torch.float32, False)).numpy()


def test_features_of_each_view(net, pixels):
    rows = np.array([20, 3, 7])
    table = extract_features(net, pixels, rows, VIEWS, precision=FP32, device="cpu", batch_size=2)
    assert table.values.shape == (4, 3, net.feature_dim) and table.values.dtype == np.float32
    assert table.complete_views == VIEWS and table.done == (3, 3, 3, 3)
    np.testing.assert_allclose(table.view("centre"), reference(net, pixels[rows]), atol=1e-4)
    np.testing.assert_allclose(table.view("flip"), reference(net, pixels[rows][:, :, ::-1].copy()), atol=1e-4)
    assert np.abs(table.view("crop0") - table.view("crop1")).max() > 0.01
    assert table.stack(("flip", "centre")).shape == (2, 3, net.feature_dim)
    assert (table.stack(("flip",))[0] == table.view("flip")).all()


def test_crops_are_seeded(net, pixels):
    first, again, other = (
        extract_features(net, pixels, None, ("crop0",), precision=FP32, device="cpu", seed=seed).values
        for seed in (1, 1, 2)
    )
    assert (first == again).all() and (first != other).any()


def test_a_file_holds_the_same_features(net, pixels, tmp_path):
    kept = extract_features(net, pixels, None, VIEWS[:2], precision=FP32, device="cpu")
    path = tmp_path / "deeper" / "features.npy"
    extract_features(net, pixels, None, VIEWS[:2], precision=FP32, device="cpu", out=path)
    table = open_features(path)
    assert table.values.dtype == np.float16
    assert (table.views, table.done, table.rows.tolist()) == (VIEWS[:2], (21, 21), list(range(21)))
    np.testing.assert_allclose(table.stack(), kept.values, atol=5e-3, rtol=2e-3)


def test_files_that_do_not_belong_together_are_refused(net, pixels, tmp_path):
    path = tmp_path / "features.npy"
    with pytest.raises(OptionError, match="do not hold features"):
        open_features(path)
    extract_features(net, pixels, None, precision=FP32, device="cpu", out=path)
    np.save(path, np.zeros((1, 3, 4), np.float16))
    with pytest.raises(OptionError, match="says otherwise"):
        open_features(path)


def test_the_deadline_leaves_what_is_done(net, pixels):
    table = extract_features(
        net, pixels, None, VIEWS, precision=FP32, device="cpu", batch_size=4, deadline=time.monotonic() - 1
    )
    assert table.done == (4, 0, 0, 0) and table.rows_done == 4
    assert table.view("centre").shape == (4, net.feature_dim)
    assert table.complete_views == ()
    with pytest.raises(OptionError, match="complete: none"):
        table.stack()


def test_progress_counts_every_batch(net, pixels):
    seen = []
    extract_features(
        net,
        pixels,
        None,
        VIEWS[:2],
        precision=FP32,
        device="cpu",
        batch_size=8,
        on_progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(n, 6) for n in range(1, 7)]


def test_bfloat16_features_are_close(net, pixels):
    low = extract_features(net, pixels, precision=PLANS["bf16"], device="cpu").values
    full = extract_features(net, pixels, precision=FP32, device="cpu").values
    assert np.linalg.norm(low - full) / np.linalg.norm(full) < 0.03


def test_precision_is_measured_and_told(net, pixels):
    assert extract_features(net, pixels, device="cpu").precision.images_per_s > 0


def test_unknown_views_are_refused(net, pixels):
    with pytest.raises(OptionError, match=r"unknown view 'upside'.*crop0"):
        extract_features(net, pixels, None, ("upside",), precision=FP32)
    with pytest.raises(OptionError, match="there are centre"):
        extract_features(net, pixels, precision=FP32, device="cpu").view("flip")


def test_keys_differ_with_what_they_name():
    assert feature_key("a", 224) != feature_key("a", 240)
    assert feature_key("a", 224) == feature_key("a", 224)


def test_features_that_are_computed_again_replace_the_old_ones_only_when_done(net, pixels, tmp_path):
    out = tmp_path / "features.npy"
    partial = extract_features(
        net, pixels, None, ("centre",), precision=FP32, device="cpu", batch_size=8, deadline=0.0, out=out
    )
    assert 0 < partial.rows_done < len(pixels)
    held = open_features(out).view("centre").copy()

    class Cut(BaseException):
        pass

    def cut(done: int, total: int) -> None:
        raise Cut

    with pytest.raises(Cut):
        extract_features(
            net, pixels, None, ("centre",), precision=FP32, batch_size=8, out=out, on_progress=cut
        )
    np.testing.assert_array_equal(open_features(out).view("centre"), held)
    extract_features(net, pixels, None, ("centre",), precision=FP32, batch_size=8, out=out)
    assert open_features(out).complete_views == ("centre",)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["features.json", "features.npy"]
