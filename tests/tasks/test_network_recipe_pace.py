"""How often a training writes checkpoints, and what it does when the machine gets busy."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from autodl.tasks import network_recipe
from autodl.tasks.network_recipe import CHECKPOINT_EVERY_S, Ending, ThrottledCheckpoints
from tests.tasks import fakes


def test_checkpoints_are_written_now_and_then(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(network_recipe, "time", SimpleNamespace(monotonic=lambda: now[0]))
    reporter = fakes.FakeReporter(tmp_path)
    checkpoints, written = ThrottledCheckpoints(reporter), []
    for second in range(31):
        now[0] = 100.0 + second
        checkpoints.save(second)
        written.append(reporter.state)
    every = int(CHECKPOINT_EVERY_S)
    assert written == [None if s < every else s - s % every for s in range(31)]
    assert checkpoints.load() == written[-1]


@pytest.mark.parametrize(("left_s", "threads"), [(60.0, [1]), (None, [])])
def test_takes_one_thread_where_time_is_short_and_a_core_was_lost(tmp_path, monkeypatch, left_s, threads):
    asked = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    ending = Ending(fakes.FakeReporter(tmp_path, left_s=left_s), "accuracy")
    measured = {"epoch": 1, "value": 1.0, "val_loss": 1.0, "train_loss": 1.0}
    for speed in (100.0, 90.0, 10.0):
        ending.on_epoch(SimpleNamespace(**measured, images_per_s=speed))
    assert asked == threads
