"""A policy searched for a run: on which images, and for how long."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from autodl.augment import Policy, PolicySearchResult
from autodl.errors import LabelError
from autodl.tasks import augment_search
from tests.tasks import made

DATA = made.run_data(np.arange(60) % 3, np.where(np.arange(60) < 15, 0, -1))


def numbered(side):
    """Images whose value is their row."""
    pixels = np.broadcast_to(np.arange(60, dtype=np.uint8)[:, None, None, None], (60, side, side, 3))
    return replace(DATA, pixels=pixels.copy())


def test_only_training_images_are_looked_at():
    images, labels = augment_search.training_part(numbered(8), seed=0)
    assert images.shape == (45, 3, 8, 8) and images.dtype == torch.uint8
    rows = images[:, 0, 0, 0].numpy()
    assert rows.min() >= 15
    np.testing.assert_array_equal(labels, DATA.labels[rows])


def test_many_images_are_drawn_by_seed_and_large_ones_reduced(monkeypatch):
    monkeypatch.setattr(augment_search, "MOST_IMAGES", 30)
    parts = [augment_search.training_part(numbered(48), seed=seed)[0] for seed in (0, 0, 1)]
    assert {part.shape for part in parts} == {(30, 3, 32, 32)}
    assert torch.equal(parts[0], parts[1]) and not torch.equal(parts[0], parts[2])


def test_classes_too_small_to_be_split_are_left_out():
    labels = np.where(np.arange(60) < 57, np.arange(60) % 2, 2)
    data = made.run_data(labels, np.full(60, -1))
    _, kept = augment_search.training_part(data, seed=0)
    assert np.bincount(kept).tolist() == [29, 28]
    few = made.run_data(np.minimum(np.arange(12), 9), np.full(12, -1))
    with pytest.raises(LabelError, match="there are 0 among 10"):
        augment_search.training_part(few, seed=0)


def test_little_time_goes_to_few_folds(monkeypatch):
    asked = []
    policy = Policy([[("Rotate", 1.0, 0.5)], [("Invert", 0.5, 0.0)]])

    def search(images, labels, **options):
        asked.append(options)
        return PolicySearchResult(policy, "bank", (), 1.0, 1)

    monkeypatch.setattr(augment_search, "search_policy", search)
    monkeypatch.setattr(augment_search, "cpu_threads", lambda: 2)
    found, *_ = (augment_search.search(DATA, seed=0, time_limit_s=limit) for limit in (None, 5.0, 40.0, 90.0))
    assert [options["folds"] for options in asked] == [5, 1, 2, 5]
    assert [options["num_workers"] for options in asked] == [1, 1, 1, 2]
    assert [options["time_limit_s"] for options in asked] == [None, 5.0, 40.0, 90.0]
    assert len({options["seed"] for options in asked}) == 1
    assert found.policy == policy
    assert found.words == "2 sub-policies from 45 images (Rotate 67%, Invert 33%)"
