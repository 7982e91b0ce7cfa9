import copy
import json

import pytest

from autodl.errors import SpaceError
from autodl.spaces import Bool, Categorical, Dict, Int, Real, SearchSpace
from autodl.spaces.base import Domain
from autodl.spaces.serial import domain_from_json, domain_to_json

DATA = SearchSpace({"net": Categorical("mlp", Dict(depth=Int(1, 9))), "lr": Real(0, 1)}).to_json()


@pytest.mark.parametrize(
    "domain",
    [
        Real(0.1, 2, log=True, default=0.3),
        Int(-3, 9, default=0),
        Int(1, 9, log=True),
        Bool(True),
        Categorical(1, True, 1.0, None, "x", default=True),
    ],
)
def test_domains_survive_json_text(domain):
    assert domain_from_json(json.loads(json.dumps(domain_to_json(domain)))) == domain


def test_the_form_is_plain_and_versioned():
    assert DATA == {
        "version": 1,
        "parameters": [
            {
                "label": "net",
                "domain": {"type": "categorical", "choices": ["mlp", "Dict"], "default": "mlp"},
                "when": [],
            },
            {
                "label": "net/Dict/depth",
                "domain": {"type": "int", "low": 1, "high": 9, "log": False, "default": 5},
                "when": [["net", "Dict"]],
            },
            {
                "label": "lr",
                "domain": {"type": "real", "low": 0.0, "high": 1.0, "log": False, "default": 0.5},
                "when": [],
            },
        ],
    }


def damage(*path, value):
    data = copy.deepcopy(DATA)
    target = data
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    return data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "not a search space of version 1"),
        (damage("version", value=2), "not a search space of version 1"),
        (damage("parameters", value=3), "damaged"),
        (damage("parameters", 0, "domain", value={"type": "int"}), "damaged search space: 'low'"),
        (damage("parameters", 0, "domain", "type", value="gauss"), "unknown domain type 'gauss'"),
        (damage("parameters", 2, "domain", "low", value=7), "low must not be above high"),
        (damage("parameters", 1, "when", value=[["net"]]), "damaged"),
        (damage("parameters", 1, "when", value=[["net", "cnn"]]), "depends on 'net' = 'cnn'"),
        (damage("parameters", 1, "when", value=[["lr", 0.5]]), "depends on 'lr' = 0.5"),
        (damage("parameters", 1, "label", value="lr"), "one label twice"),
    ],
)
def test_damage_is_found(data, message):
    with pytest.raises(SpaceError, match=message):
        SearchSpace.from_json(data)


def test_a_foreign_domain_says_that_it_has_no_form():
    class Normal(Domain):
        size = None
        values = check = to_unit = from_unit = None

    with pytest.raises(SpaceError, match="Normal has no JSON form"):
        domain_to_json(Normal())
