"""How the search of an architecture is asked for."""

from __future__ import annotations

import pytest
import torch

from autodl.errors import OptionError, UnknownNameError
from autodl.nas.costs import MACs, Params
from autodl.nas.latency import LatencyTable
from autodl.nas.objectives import Constraint, Power
from autodl.nas.spaces import ConvChain
from autodl.nas.strategies import DARTS
from autodl.tasks import NASOptions
from autodl.tasks.arch_options import as_nas_options

SPACE = ConvChain(layers=1, kernels=(1, 3), filters=(2,)).space(num_classes=2, side=4)


def test_short_forms():
    assert as_nas_options(None) is None
    assert as_nas_options("enas") == NASOptions("enas")
    own = DARTS(order=2)
    assert as_nas_options(own).made is own
    assert as_nas_options({"strategy": "fbnet", "share": 0.5}) == NASOptions("fbnet", share=0.5)
    assert as_nas_options("fbnet").name == "fbnet"


def test_costs_and_objectives(tmp_path):
    def model(cost):
        return NASOptions("random", cost=cost).cost_model(
            SPACE, (3, 4, 4), torch.device("cpu"), tmp_path / "t"
        )

    assert model(None) is None
    assert isinstance(model("params"), Params) and isinstance(model("macs"), MACs)
    assert isinstance(model(Params), Params)
    assert isinstance(model("latency"), LatencyTable) and (tmp_path / "t").exists()
    assert NASOptions("random").weighed() is None
    assert NASOptions("random", cost="params", target=9).weighed() == Power(9.0)
    assert NASOptions("random", cost="params", objective=Constraint(5.0)).weighed() == Constraint(5.0)


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"strategy": "drats"}, UnknownNameError, "drats"),
        ({"strategy": 3}, OptionError, "a name or an object"),
        ({"share": 1.0}, OptionError, "share"),
        ({"cost": "joule"}, UnknownNameError, "joule"),
        ({"cost": 3}, OptionError, "cost"),
        ({"target": 3.0}, OptionError, "needs a cost"),
        ({"cost": "macs", "target": 0.0}, OptionError, "target"),
        ({"cost": "macs", "target": 3.0, "objective": Constraint(1.0)}, OptionError, "give one"),
        ({"cots": "macs"}, UnknownNameError, "cots"),
    ],
)
def test_what_is_refused(fields, error, words):
    with pytest.raises(error, match=words):
        as_nas_options(fields)
