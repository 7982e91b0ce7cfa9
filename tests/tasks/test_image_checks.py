"""Weights that are asked for: there, to be had, or an error at once."""

from __future__ import annotations

import time

import pytest
import torch

from autodl.errors import OptionError, WeightsUnavailableError
from autodl.models import build_network
from autodl.models.weights_io import save_weights
from autodl.tasks import image_checks
from tests.tasks import made


def refused(digits, error, match, **params):
    started = time.monotonic()
    with pytest.raises(error, match=match):
        made.quick(**params).fit(*digits.train)
    assert time.monotonic() - started < 10


def test_pretrained_where_nothing_is_on_this_machine(digits, monkeypatch):
    monkeypatch.setattr(image_checks, "pretrained_networks", lambda: ())
    refused(digits, WeightsUnavailableError, r"autodl\[pretrained\]", net=None, weights="pretrained")


def test_pretrained_where_the_hub_cannot_be_reached(digits, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("autodl.models.pretrained.unreachable", lambda url, timeout_s=2.0: "no network")
    refused(digits, WeightsUnavailableError, "no network", net="resnet18", weights="pretrained")


def test_a_network_without_published_weights(digits):
    refused(
        digits, WeightsUnavailableError, "small_resnet has no pub", net="small_resnet", weights="pretrained"
    )


def test_weights_need_a_network_by_name(digits, tmp_path):
    path = tmp_path / "a.pth"
    torch.save({}, path)
    refused(digits, OptionError, "of which network", net=None, weights=path)
    refused(digits, OptionError, "load them into it yourself", net=made.linear(), weights=path)
    refused(digits, OptionError, "load them into it yourself", net=made.linear(), weights="pretrained")
    mixed = ["resnet18", made.linear()]
    refused(digits, OptionError, "load them into it yourself", net=mixed, weights="pretrained")


def test_weights_that_do_not_fit_or_are_no_weights(digits, tmp_path):
    net = build_network("small_resnet", 2, input_size=8, width=8, seed=0)
    save_weights(net.state_dict(), tmp_path / "narrow.safetensors")
    (tmp_path / "text.pth").write_text("hello")
    for name, words in (
        ("narrow.safetensors", "do not fit"),
        ("text.pth", "cannot read"),
        ("no.pth", "no weig"),
    ):
        refused(digits, WeightsUnavailableError, words, net="small_resnet", weights=tmp_path / name)


def test_auto_and_none_ask_for_nothing(digits, monkeypatch):
    monkeypatch.setattr(image_checks, "build_network", None)
    for weights in ("auto", None):
        made.quick(weights=weights).fit(*digits.train)
