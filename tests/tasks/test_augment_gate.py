"""Which augmentation a run uses, from what is asked, the data and the time."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from autodl.augment import Policy
from autodl.errors import LabelError, TrialError
from autodl.spaces import Categorical
from autodl.tasks import augment_gate, augment_search
from autodl.tasks.augment_compare import Comparison
from autodl.tasks.augment_gate import GateJob, settle_augmentation, with_augmentation
from autodl.tasks.augment_record import AugmentArm, AugmentRecord
from autodl.tasks.augment_search import Found
from autodl.tasks.image_plan import DataFacts, Wishes, make_plan
from autodl.tasks.options import get_preset
from tests.tasks import fakes, made

INVERT = Policy([[("Invert", 1.0, 0.0)]])
FOUND = Found(INVERT, {"Invert": 1.0}, "1 sub-policy")
GREY, COLOUR = (DataFacts(5000, 32, 32, grey) for grey in (True, False))
DATA = made.run_data(np.arange(400) % 2, np.where(np.arange(400) < 120, 0, -1))
FEW = made.run_data(np.arange(100) % 2, np.where(np.arange(100) < 20, 0, -1))


def plan(facts=COLOUR, **wishes):
    return make_plan(facts, Wishes(**wishes), get_preset("medium"))


class Gate:
    """`settle_augmentation` with a search and a comparison that are made up and counted."""

    def __init__(self, root, monkeypatch):
        self.root, self.said = root, []
        self.searches, self.compared = [], []
        self.scores = {"standard": 0.5, "trivial": 0.6, "fast_aa": 0.7}
        self.search_error = self.compare_error = None
        monkeypatch.setattr(augment_search, "search", self.search)
        monkeypatch.setattr(augment_gate, "compare_augmentations", self.compare)
        self.speed = 1000.0
        monkeypatch.setattr(augment_gate, "training_speed", lambda *_: self.speed)

    def search(self, data, *, seed, time_limit_s):
        self.searches.append(time_limit_s)
        if self.search_error:
            raise self.search_error
        return FOUND

    def compare(self, names, data, context, folder, *, seed, seconds, speed):
        self.compared.append((tuple(names), context.policy, seconds))
        if self.compare_error:
            raise self.compare_error
        arms = sorted((AugmentArm(n, self.scores[n], 0.1) for n in names), key=lambda a: -a.score)
        return Comparison(arms[0].name, tuple(arms), 280, 120, 9)

    def settle(self, asked="auto", data=DATA, ours=None, **changes):
        values = {
            "asked": asked, "run": self.root, "begun": False, "seed": 0, "time_limit_s": 600.0,
            "started_at": time.time(), "num_trials": None, "say": self.said.append, "phase": self.said.append,
        }  # fmt: skip
        context = fakes.context(self.root, {})
        return settle_augmentation(GateJob(**{**values, **changes}), data, ours or plan(), context)


@pytest.fixture
def gate(tmp_path, monkeypatch):
    return Gate(tmp_path, monkeypatch)


def test_the_winner_of_three_is_used(gate):
    record = gate.settle()
    assert (record.chosen, record.policy, record.held_out) == ("fast_aa", INVERT, 120)
    assert [arm.name for arm in record.arms] == ["fast_aa", "trivial", "standard"]
    ((names, policy, seconds),) = gate.compared
    assert names == ("standard", "trivial", "fast_aa") and policy is INVERT
    assert gate.searches[0] + seconds <= 0.2 * 600
    assert "fast_aa 0.7000, trivial 0.6000, standard 0.5000 on 120 held-out images" in record.note
    assert record.note in gate.said


def test_what_was_settled_is_not_settled_again(gate):
    first = gate.settle()
    gate.scores["standard"] = 1.0
    assert gate.settle(begun=True) == first
    assert len(gate.searches) == len(gate.compared) == 1
    assert gate.settle("crop").chosen == "crop"  # another wish is another run; the journal says so


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"time_limit_s": 60.0}, "time limit of 240 s"),
        ({"time_limit_s": None, "num_trials": 3}, "from 8 trials on"),
        ({"started_at": time.time() - 200}, "reading the images took too long"),
        ({"data": FEW}, "80 training and 20 held-out images are too few"),
        ({"begun": True}, "begun without"),
    ],
    ids=["limit", "trials", "reading", "few", "begun"],
)
def test_where_a_comparison_does_not_pay_the_search_decides(gate, changes, words):
    record = gate.settle(**changes)
    assert record.chosen is None and words in record.note
    assert not gate.searches and not gate.compared
    assert with_augmentation(plan(), record) == plan()


def test_a_machine_too_slow_for_a_comparison_spends_nothing_on_one(gate):
    gate.speed = 200.0  # 60 s for three, of which the first plans for 17: 3,400 images, 6.8 times 500
    record = gate.settle()
    assert record.chosen is None and "500 images 6.8 times each; 10 times would do" in record.note
    assert gate.said == [record.note]
    assert not gate.searches and not gate.compared


def test_heads_on_frozen_features_are_left_alone(gate):
    transfer = replace(plan(), recipes={"head": {}, "finetune": {"augment": "standard"}})
    record = gate.settle(ours=transfer)
    assert record.chosen is None and "heads on frozen features" in record.note
    assert not gate.searches


def test_many_trials_are_worth_a_comparison(gate):
    assert gate.settle(time_limit_s=None, num_trials=8).chosen == "fast_aa"
    assert gate.searches == [None] and gate.compared[0][2] is None


def test_without_a_policy_two_are_compared(gate):
    gate.search_error = TrialError("no time for a fold")
    record = gate.settle()
    assert gate.compared[0][:2] == (("standard", "trivial"), None)
    assert (record.chosen, record.policy) == ("trivial", None)
    assert any("no time for a fold" in text for text in gate.said)


@pytest.mark.parametrize("when", ["search_error", "compare_error"])
def test_ctrl_c_ends_the_fit_and_nothing_is_settled(gate, when):
    setattr(gate, when, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        gate.settle()
    assert AugmentRecord.read(gate.root) is None


@pytest.mark.parametrize("error", [TrialError("nothing left"), RuntimeError("out of memory")])
def test_a_comparison_that_fails_leaves_the_run_as_it_was(gate, error):
    gate.compare_error = error
    record = gate.settle()
    assert record.chosen is None and str(error) in record.note
    assert AugmentRecord.read(gate.root) == record


def test_a_policy_that_is_asked_for_is_used(gate):
    record = gate.settle("fast_aa", time_limit_s=100.0)
    assert (record.chosen, record.policy, record.op_weights) == ("fast_aa", INVERT, {"Invert": 1.0})
    assert not gate.compared and 0 < gate.searches[0] <= 15.0
    assert gate.settle("fast_aa") == record and len(gate.searches) == 1


@pytest.mark.parametrize("error", [LabelError("too few"), TrialError("no time for a fold")])
def test_a_policy_that_is_asked_for_and_cannot_be_found_is_done_without(gate, error):
    gate.search_error = error
    record = gate.settle("fast_aa")
    assert (record.asked, record.chosen, record.policy) == ("fast_aa", "standard", None)
    assert str(error) in record.note and gate.said[-1] == record.note
    assert AugmentRecord.read(gate.root) == record


@pytest.mark.parametrize(
    ("asked", "chosen", "name"),
    [("rand", "rand", "rand"), (None, "none", "none"), (INVERT, None, "own"), (max, None, "own")],
)
def test_what_is_asked_for_is_taken(gate, asked, chosen, name):
    record = gate.settle(asked)
    assert (record.asked, record.chosen) == (name, chosen)
    assert not gate.searches and not gate.said


def test_the_winner_comes_first_and_the_others_stay_to_be_searched():
    def choices(facts, chosen):
        record = AugmentRecord("auto", chosen)
        return with_augmentation(plan(facts), record).recipes["network"]["augment"]

    assert choices(COLOUR, "fast_aa") == Categorical("fast_aa", "standard", "trivial")
    assert choices(COLOUR, "trivial") == Categorical("trivial", "standard")
    assert choices(COLOUR, "standard") == plan(COLOUR).recipes["network"]["augment"]
    assert choices(GREY, "trivial") == Categorical("trivial", "standard", "none")
    assert with_augmentation(plan(augment="crop"), AugmentRecord("crop", "crop")) == plan(augment="crop")
