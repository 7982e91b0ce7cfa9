"""What trials know: the parts of their recipe, where these come from, and the time they may plan."""

from __future__ import annotations

import math
import pickle
import time

import pytest

import autodl as ad
from autodl.spaces import SearchSpace
from autodl.tasks.options import get_preset
from autodl.tasks.trial_context import OVERPLAN, monotonic_deadline, planned_epochs
from tests.tasks import fakes


@ad.obj(depth=ad.Int(1, 9, default=2))
class Net:
    def __init__(self, num_classes, depth=2, act=None):
        self.made_of = (num_classes, depth, act)


@ad.obj(depth=ad.Int(1, 9, default=2))
class Strict:
    def __init__(self, depth=2):
        self.made_of = depth


RECIPES = {"head": {"l2": ad.Real(1, 9), "flip": True}, "whole": {"net": Net(), "lr": ad.Real(0.1, 0.9)}}
WHOLE = {"recipe": "whole", "recipe/whole/net/depth": 4, "recipe/whole/lr": 0.5}


def reporter(tmp_path, trial_id=0, left_s=None):
    return fakes.FakeReporter(tmp_path, trial_id, left_s=left_s)


def test_a_config_chooses_its_recipe_and_the_only_one_needs_no_name(tmp_path):
    context = fakes.context(tmp_path, RECIPES)
    assert context.choose(WHOLE) == ("whole", "recipe/whole/")
    assert context.choose({"recipe": "head", "recipe/head/l2": 2.0}) == ("head", "recipe/head/")
    assert fakes.context(tmp_path, {"network": {}}).choose({"lr": 1}) == ("network", "")


def test_values_are_the_parts_of_the_chosen_recipe_built_with_what_they_ask_for(tmp_path):
    context = fakes.context(tmp_path, RECIPES)
    assert context.values({"recipe": "head", "recipe/head/l2": 2.0}) == {"l2": 2.0, "flip": True}
    values = context.values(WHOLE, num_classes=3, input_size=8)
    assert isinstance(values["net"], Net) and values["net"].made_of == (3, 4, None)
    assert values["lr"] == 0.5
    assert context.values(WHOLE, num_classes=3)["net"] is not values["net"]


def test_a_decorated_class_is_found_again_with_its_arguments(tmp_path):
    context = fakes.context(tmp_path, RECIPES)
    name, arguments = context.origin_of("net", WHOLE, num_classes=3, input_size=8)
    assert name == f"{__name__}:Net.cls"
    assert arguments == {"depth": 4, "num_classes": 3}
    assert context.origin_of("lr", WHOLE) == ("", {})


def test_the_origin_of_a_choice_is_that_of_what_was_chosen(tmp_path):
    choice = ad.Categorical("small_resnet", Strict(), ad.Categorical(Net(act="relu"), "resnet18"))
    context = fakes.context(tmp_path, {"network": {"net": choice}})
    found = {}
    for config in _each_branch({"net": choice}):
        name, arguments = context.origin_of("net", config, num_classes=3)
        found[name.rpartition(":")[2]] = arguments
    assert found == {
        "": {},
        "Strict.cls": {"depth": 2},
        "Net.cls": {"depth": 2, "act": "relu", "num_classes": 3},
    }


def _each_branch(parts):
    space = SearchSpace(parts)
    nested = next(name for name in parts["net"].names if name not in ("small_resnet", "Strict"))
    for top in parts["net"].names:
        if top != nested:
            yield space.complete({"net": top})
    for inner in ("Net", "resnet18"):
        yield space.complete({"net": nested, f"net/{nested}": inner})


def test_arguments_that_json_cannot_hold_are_left_for_the_reader_to_give(tmp_path):
    context = fakes.context(tmp_path, {"network": {"net": Net(act=math.sqrt)}})
    assert context.origin_of("net", {"net/depth": 1}, num_classes=3) == (f"{__name__}:Net.cls", {})


def test_travels_to_workers(tmp_path):
    context = fakes.context(tmp_path, {"head": {"l2": ad.Real(1, 9)}})
    assert pickle.loads(pickle.dumps(context)) == context


@pytest.mark.parametrize(
    ("limit_s", "epochs", "hurry"), [(None, None, False), (60, 3, False), (60, None, True)]
)
def test_is_in_a_hurry_only_where_the_clock_decides_how_much_is_trained(tmp_path, limit_s, epochs, hurry):
    assert fakes.context(tmp_path, {}, time_limit_s=limit_s, epochs=epochs).in_a_hurry is hurry


@pytest.mark.parametrize(
    ("trial_id", "left_s", "budget_s"),
    [
        (0, 100, 10),
        (1, 90, 40),
        (2, 50, 50),  # the rest behind its share would be too small for another
        (2, 90, 40),  # the last share is that of all that follow
        (9, 61, 40),
        (0, 14, 14),
        (0, 16, 10),
        (0, None, None),
    ],
)
def test_a_trial_plans_its_share_of_the_time_limit(tmp_path, trial_id, left_s, budget_s):
    context = fakes.context(tmp_path, {}, shares=(0.1, 0.4), time_limit_s=100)
    assert context.budget_s(reporter(tmp_path, trial_id, left_s)) == budget_s


def test_without_a_time_limit_of_the_run_what_is_left_is_the_budget(tmp_path):
    context = fakes.context(tmp_path, {}, shares=(0.1,))
    assert context.budget_s(reporter(tmp_path, 0, 7.0)) == 7.0


def test_epochs_are_the_callers_else_the_clocks_else_the_presets(tmp_path):
    preset = get_preset("fast")
    free, fixed = fakes.context(tmp_path, {}), fakes.context(tmp_path, {}, epochs=3)
    assert planned_epochs(fixed, 0.01, 100, without_limit=7) == 3
    assert planned_epochs(free, None, 100, without_limit=7) == 7
    assert planned_epochs(free, 20, 2, without_limit=7) == math.ceil(OVERPLAN * 10)
    assert planned_epochs(free, 1, 100, without_limit=7) == 1
    assert planned_epochs(free, -5, 100, without_limit=7) == 1
    assert planned_epochs(free, 1e6, 1, without_limit=7) == preset.max_epochs


def test_a_training_ends_before_its_trial_is_cut(tmp_path):
    assert monotonic_deadline(reporter(tmp_path), 2) is None
    now = time.monotonic()
    assert monotonic_deadline(reporter(tmp_path, 0, 50.0), 2) == pytest.approx(now + 48, abs=1)
    assert monotonic_deadline(reporter(tmp_path, 0, 1.0), 2) == pytest.approx(now, abs=1)
