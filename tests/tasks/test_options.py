"""Presets and option groups: checked where they are made."""

from __future__ import annotations

import dataclasses

import pytest

from autodl.errors import OptionError, UnknownNameError
from autodl.tasks.options import (
    PRESETS,
    TrainingOptions,
    ValidationOptions,
    as_group,
    get_preset,
)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"label_smoothing": 1.0}, "label_smoothing must lie in"),
        ({"label_smoothing": -0.1}, "label_smoothing must lie in"),
        ({"ema_decay": 1.0}, "ema_decay must lie in"),
        ({"warmup_fraction": 1.5}, "warmup_fraction must lie in"),
        ({"mixup": -1}, "mixup is a Beta"),
        ({"cutmix": -1}, "cutmix is a Beta"),
        ({"mixup": float("nan")}, "mixup"),
        ({"clip_norm": 0}, "clip_norm must be > 0"),
        ({"patience": 0}, "patience counts epochs"),
        ({"precision": "fp64"}, "unknown precision 'fp64'; known: auto, bf16, fp32"),
    ],
)
def test_refuses_training_options_that_make_no_sense(values, words):
    with pytest.raises(OptionError, match=words):
        TrainingOptions(**values)
    with pytest.raises(OptionError, match=words):
        as_group(TrainingOptions, values)


@pytest.mark.parametrize("values", [{"fraction": 0}, {"fraction": 1}, {"fraction": -0.5}, {"folds": 0}])
def test_refuses_validation_options_that_make_no_sense(values):
    with pytest.raises(OptionError, match="must"):
        ValidationOptions(**values)


def test_a_group_is_taken_from_a_dict_itself_or_nothing():
    options = TrainingOptions(mixup=0.2)
    assert as_group(TrainingOptions, options) is options
    assert as_group(TrainingOptions, {"mixup": 0.2}) == options
    assert as_group(TrainingOptions, None) == TrainingOptions()
    with pytest.raises(UnknownNameError, match=r"field of TrainingOptions 'mixupp'; known: label_smoothing"):
        as_group(TrainingOptions, {"mixupp": 1})
    with pytest.raises(OptionError, match="expected a TrainingOptions or a dict"):
        as_group(TrainingOptions, ValidationOptions())
    with pytest.raises(OptionError, match="a lot"):
        as_group(TrainingOptions, {"mixup": "a lot"})


def test_groups_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainingOptions().mixup = 1.0


def test_large_sets_hold_out_a_smaller_part_but_never_fewer_images():
    sizes = [10, 100, 1000, 3000, 10_000, 50_000, 1_000_000]
    held_out = [ValidationOptions().fraction_for(n) * n for n in sizes]
    parts = [count / n for count, n in zip(held_out, sizes, strict=True)]
    assert held_out == sorted(held_out)
    assert parts == sorted(parts, reverse=True)
    assert max(parts) == 0.2
    assert min(parts) >= 0.02
    assert ValidationOptions(fraction=0.4).fraction_for(10**6) == 0.4


def test_presets_grow_with_the_time_they_take():
    limits = [PRESETS[name].time_limit_s for name in ("fast", "medium", "best")]
    assert limits == sorted(limits)
    for preset in PRESETS.values():
        assert preset.widths == tuple(sorted(preset.widths))
        assert preset.epochs <= preset.max_epochs
    for name in ("ultra", None, ["fast"]):
        with pytest.raises(UnknownNameError, match="known: fast, medium, best"):
            get_preset(name)
