"""Cuts that fall where the interpreter drops what is raised."""

from __future__ import annotations

import gc
import sys
import time

import pytest

from autodl.executors.cutoff import REPEAT_S, Cutoff, TrialInterrupted, can_use_alarm

pytestmark = pytest.mark.skipif(not can_use_alarm(), reason="needs SIGALRM in the main thread")


def until_cut(slow_s: float, begin) -> float:
    """Seconds until a job is cut whose deadline falls into what `begin` runs first."""
    start = time.monotonic()
    with pytest.raises(TrialInterrupted), Cutoff(time.time() + slow_s / 2):
        begin()
        while time.monotonic() - start < 10:
            pass
    return time.monotonic() - start


def busy(seconds: float) -> None:
    """In one frame: no call that the alarm could fall into instead."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def test_a_cut_within_a_callback_of_the_garbage_collector_is_repeated(monkeypatch):
    lost = []
    monkeypatch.setattr(sys, "unraisablehook", lost.append)
    clock = time.monotonic

    def callback(phase, info):
        until = clock() + 0.1
        while clock() < until:
            pass

    gc.callbacks.append(callback)
    try:
        seconds = until_cut(0.2, gc.collect)
    finally:
        gc.callbacks.remove(callback)
    assert lost == []
    assert seconds < 5 * REPEAT_S


def test_a_cut_within_the_jobs_own_code_comes_at_once():
    assert until_cut(0.2, lambda: busy(1.0)) < REPEAT_S
