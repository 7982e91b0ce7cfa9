from __future__ import annotations

import math

import pytest

from autodl.errors import OptionError
from autodl.objectives import Constraint, Goals, Objective, make_goals


def test_modes_are_inferred_by_each_name_or_given_for_all_or_each():
    modes = [o.mode for o in make_goals(["accuracy", "latency_ms"]).objectives]
    assert modes == ["max", "min"]
    assert [o.mode for o in make_goals(["a", "b"], "min").objectives] == ["min", "min"]
    assert [o.mode for o in make_goals(["a", "b"], [None, "min"]).objectives] == ["max", "min"]


@pytest.mark.parametrize(
    "given",
    [
        {"params": "<= 1e6"},
        ("params", "<=", 1e6),
        [("params", "<=", 1e6)],
        [Constraint("params", "<=", 1e6)],
    ],
)
def test_constraints_are_read_from_text_and_triples(given):
    assert make_goals("a", None, given).constraints == (Constraint("params", "<=", 1e6),)


@pytest.mark.parametrize(
    ("metric", "mode", "constraints"),
    [
        ([], None, None),
        (["a", "a"], None, None),
        (["a", "b"], ["min"], None),
        ("a", "up", None),
        ("", None, None),
        (["a", 3], None, None),
        ("a", None, {"b": "< 3"}),
        ("a", None, {"b": 3}),
        ("a", None, {"b": "<= nan"}),
        ("a", None, [("b", "<=")]),
        ("a", None, ("b", "==", 3)),
        ("a", None, ("b", "<=", math.inf)),
        ("a", None, ("b", "<=", "3")),
    ],
)
def test_what_makes_no_sense_is_refused(metric, mode, constraints):
    with pytest.raises(OptionError):
        make_goals(metric, mode, constraints)


def test_violation_is_relative_to_the_bound_and_infinite_where_nothing_is_known():
    goals = make_goals("a", None, {"ms": "<= 20", "acc": ">= 0.5"})
    assert goals.violation({"ms": 30.0, "acc": 0.4}) == pytest.approx(0.5 + 0.2)
    assert goals.violation({"ms": 20.0, "acc": 0.5}) == 0.0
    assert goals.violation({"ms": 20.0}) == math.inf
    assert goals.violation({"ms": math.nan, "acc": 1.0}) == math.inf


def test_scores_need_all_metrics():
    goals = make_goals(["a", "loss"])
    assert goals.scores({"a": 1.0, "loss": 2.0, "c": 0.0}) == (1.0, -2.0)
    assert goals.scores({"a": 1.0}) is None
    assert goals.scores({"a": 1.0, "loss": math.inf}) is None


def test_goals_survive_json_and_old_headers_are_read():
    goals = make_goals(["a", "loss"], None, {"ms": "<= 2"})
    assert Goals.from_json(goals.to_json()) == goals
    assert Goals.from_json({"metric": "a", "mode": "max"}) == Goals((Objective("a", "max"),))
