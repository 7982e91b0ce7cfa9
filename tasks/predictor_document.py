"""The JSON half of a saved predictor, checked before anything is built from it.

The file may come from anywhere: every value that shapes what is built or how much memory is taken
is looked at first. All functions raise ValueError; the reader names the file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from autodl.tasks.ensemble_network import BranchSpec, NetworkSpec

LARGEST_SIDE = 16_384
"""Of the images a predictor asks for, pixels."""

NO_OPTIONS = ("name", "num_classes", "input_size", "weights", "dropout", "seed")
"""Arguments of `build_network` that are no options of a network: a file must not set them."""


def read_branches(document: Mapping[str, Any]) -> list[BranchSpec]:
    """The branches of an ensemble, whose weights add up to 1 and which know the same classes."""
    raw = document["branches"]
    _need(isinstance(raw, list) and len(raw) > 0, "branches must be a list of at least one")
    for branch in raw:
        _check_branch(branch)
    branches = [BranchSpec.from_json(branch) for branch in raw]
    total = sum(weight for branch in branches for weight in branch.weights)
    _need(abs(total - 1) < 1e-3, f"the weights of its members add up to {total:.4g}, not 1")
    told_apart = {branch.network.num_classes for branch in branches}
    classes = document["classes"]
    _need(isinstance(classes, list), "classes must be a list")
    _need(
        told_apart == {len(classes)},
        f"it names {len(classes)} classes, its networks tell {', '.join(map(str, told_apart))} apart",
    )
    return branches


def check_facts(facts: Any) -> None:
    """How images are brought to a network's input."""
    _need(isinstance(facts, dict), "facts must be an object")
    small, large = facts["input_size"], facts["cache_size"]
    _need(_whole(small) and _whole(large), "input_size and cache_size must be whole numbers")
    _need(
        1 <= small <= large <= LARGEST_SIDE,
        f"sides must be 1 <= input_size <= cache_size <= {LARGEST_SIDE}, got {small} and {large}",
    )
    span = facts["pixel_range"]
    if span is not None:
        _need(_numbers(span) and len(span) == 2 and span[0] < span[1], "pixel_range must be (black, white)")


def check_history(history: Any) -> None:
    """What the fit left to tell."""
    _need(isinstance(history, dict), "history must be an object")
    rows = history["leaderboard"]
    _need(isinstance(rows, list) and all(isinstance(row, dict) for row in rows), "no leaderboard")
    _need(len(rows) > 0 and all(row.keys() == rows[0].keys() for row in rows), "its leaderboard has gaps")


def _check_branch(branch: Any) -> None:
    _need(isinstance(branch, dict), "a branch must be an object")
    ids, weights = branch["trial_ids"], branch["weights"]
    _need(isinstance(branch["frozen"], bool) and isinstance(branch["flip"], bool), "frozen, flip: no bool")
    _need(isinstance(ids, list) and all(map(_whole, ids)), "trial_ids must be whole numbers")
    _need(_numbers(weights) and min(weights, default=0) > 0, "weights must be numbers > 0")
    _need(len(ids) == len(weights), "a branch must have as many weights as trials")
    _need(branch["frozen"] or len(ids) == 1, "a branch with a network of its own is one trial's")
    network = branch["network"]
    _need(isinstance(network, dict), "network must be an object")
    known = {field.name for field in fields(NetworkSpec)}
    _need(network.keys() == known, f"network must have exactly {', '.join(sorted(known))}")
    _need(isinstance(network["name"], str), "a network's name must be text")
    _need(isinstance(network["user_defined"], bool), "user_defined must be true or false")
    _need(_whole(network["num_classes"]), "num_classes must be a whole number")
    options = network["options"]
    _need(isinstance(options, dict), "options must be an object")
    if not network["user_defined"]:
        refused = [name for name in NO_OPTIONS if name in options]
        _need(not refused, f"{', '.join(refused)}: no option of a network")
    _check_preprocessing(network["preprocessing"])


def _check_preprocessing(data: Any) -> None:
    _need(isinstance(data, dict), "preprocessing must be an object")
    _need(_whole(data["input_size"]) and _whole(data["channels"]), "preprocessing: sizes must be whole")
    _need(1 <= data["input_size"] <= LARGEST_SIDE, f"a network's side must lie in [1, {LARGEST_SIDE}]")
    _need(_numbers(data["mean"]) and _numbers(data["std"]), "mean and std must be numbers")


def _need(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ValueError(otherwise)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _numbers(values: Any) -> bool:
    def number(value: object) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

    return isinstance(values, Sequence) and not isinstance(values, str) and all(map(number, values))
