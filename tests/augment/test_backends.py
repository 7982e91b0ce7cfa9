"""When compiled ops take over, and what happens where they cannot."""

from __future__ import annotations

import pytest
import torch

from autodl.augment import backends
from autodl.augment.ops import OP_INDEX, apply_ops
from autodl.errors import MissingDependencyError

IMAGES = torch.arange(2 * 3 * 8 * 8, dtype=torch.uint8).view(2, 3, 8, 8)
OPS = torch.full((2,), OP_INDEX["Invert"])


@pytest.fixture
def used(monkeypatch):
    """Which backend ran, call by call; nothing is compiled, and nothing was compiled before."""
    calls = []
    for name in ("torch_ops", "pil_ops", "numba_ops"):
        monkeypatch.setattr(
            backends, name, lambda images, steps, name=name: calls.append(name) or images.bitwise_not()
        )
    monkeypatch.setattr(backends, "_compiled", backends._Compiled())
    monkeypatch.setattr(backends, "numba_installed", lambda: True)
    monkeypatch.setattr(backends, "compiled_before", lambda: False)
    monkeypatch.setattr(backends, "compile_ops", lambda: calls.append("compile") or 0.0)
    return calls


def call(images=IMAGES):
    return apply_ops(images, OPS, torch.zeros(2))


def test_compiled_ops_take_over_once_the_others_cost_as_much(used):
    call()
    call()
    backends._compiled.spent(backends.COMPILE_S)
    call()
    call()
    assert used == ["torch_ops", "torch_ops", "compile", "numba_ops", "numba_ops"]


def test_compiled_ops_on_disk_are_used_at_once(used, monkeypatch):
    monkeypatch.setattr(backends, "compiled_before", lambda: True)
    call()
    assert used == ["compile", "numba_ops"]


def test_large_images_go_one_by_one_without_numba(used, monkeypatch):
    monkeypatch.setattr(backends, "numba_installed", lambda: False)
    call(torch.zeros(2, 3, 80, 80, dtype=torch.uint8))
    backends._compiled.spent(backends.COMPILE_S)
    call()
    assert used == ["pil_ops", "torch_ops"]


def test_numba_that_does_not_import_is_tried_once(used, monkeypatch):
    tries = []

    def broken():
        tries.append(1)
        raise MissingDependencyError("numba needs an older NumPy")

    monkeypatch.setattr(backends, "compile_ops", broken)
    backends._compiled.spent(backends.COMPILE_S)
    for _ in range(3):
        call()
        backends._compiled.spent(backends.COMPILE_S)
    assert used == ["torch_ops"] * 3 and tries == [1]
