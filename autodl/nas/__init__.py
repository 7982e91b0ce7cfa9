"""Neural architecture search: spaces of ordinary modules, and the methods that search them.

Published spaces are in `spaces`, search methods in `strategies`, trades of accuracy and cost in
`objectives`; pictures of architectures in `autodl.nas.draw`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from autodl.nas import objectives
from autodl.nas.bn_recalibration import recalibrate, statistics_kept
from autodl.nas.cell_encoding import CellEncoding
from autodl.nas.choices import FixedInputs, InputChoice, OpChoice
from autodl.nas.controller_learner import ControllerOptions
from autodl.nas.costs import Cost, ExpectedCost, MACs, Params
from autodl.nas.data import NASData
from autodl.nas.decisions import Arch, Decision
from autodl.nas.distributions import Distribution, Gumbel, Independent, Uniform
from autodl.nas.elastic import Elastic, ElasticModule
from autodl.nas.elastic_layers import ElasticBatchNorm2d, ElasticConv2d, ElasticLinear
from autodl.nas.encoded_search import EncodedSearcher
from autodl.nas.evaluators import Evaluation, Evaluator, Predictor, SharedWeights, Trained
from autodl.nas.fitting import FitOptions
from autodl.nas.from_objects import Units, space_from
from autodl.nas.gradient_options import GradientOptions
from autodl.nas.latency import LatencyTable, MeasuredLatency
from autodl.nas.lstm_controller import LSTMController
from autodl.nas.nasbench201 import NASBench201
from autodl.nas.nasbench201_training import CellTraining, TrainingCost
from autodl.nas.plans import (
    Chosen,
    DecisionModule,
    Gate,
    Gated,
    Mask,
    OneHot,
    Plan,
    Soft,
    Weighted,
    active,
)
from autodl.nas.population import Population
from autodl.nas.repeat import Repeat
from autodl.nas.result import NASResult, Record
from autodl.nas.space import Space
from autodl.nas.strategy import Budget, Callback, Run, RunSettings, Strategy
from autodl.nas.tabular import Tabular

if TYPE_CHECKING:
    from autodl.nas import spaces, strategies
    from autodl.nas.spaces import get_space
    from autodl.nas.strategies import get_strategy

__all__ = [
    "Arch",
    "Budget",
    "Callback",
    "CellEncoding",
    "CellTraining",
    "Chosen",
    "ControllerOptions",
    "Cost",
    "Decision",
    "DecisionModule",
    "Distribution",
    "Elastic",
    "ElasticBatchNorm2d",
    "ElasticConv2d",
    "ElasticLinear",
    "ElasticModule",
    "EncodedSearcher",
    "Evaluation",
    "Evaluator",
    "ExpectedCost",
    "FitOptions",
    "FixedInputs",
    "Gate",
    "Gated",
    "GradientOptions",
    "Gumbel",
    "Independent",
    "InputChoice",
    "LSTMController",
    "LatencyTable",
    "MACs",
    "Mask",
    "MeasuredLatency",
    "NASBench201",
    "NASData",
    "NASResult",
    "OneHot",
    "OpChoice",
    "Params",
    "Plan",
    "Population",
    "Predictor",
    "Record",
    "Repeat",
    "Run",
    "RunSettings",
    "SharedWeights",
    "Soft",
    "Space",
    "Strategy",
    "Tabular",
    "Trained",
    "TrainingCost",
    "Uniform",
    "Units",
    "Weighted",
    "active",
    "get_space",
    "get_strategy",
    "objectives",
    "recalibrate",
    "space_from",
    "spaces",
    "statistics_kept",
    "strategies",
]


_LATER = {"get_space": "spaces", "get_strategy": "strategies", "spaces": "spaces", "strategies": "strategies"}


def __getattr__(name: str) -> Any:
    """Spaces and strategies are imported where they are first asked for."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_LATER[name]}")
    return module if name == _LATER[name] else getattr(module, name)
