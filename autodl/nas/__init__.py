"""Neural architecture search: spaces of ordinary modules, and the methods that search them."""

from __future__ import annotations

import importlib
from types import ModuleType

from autodl.nas.bn_recalibration import recalibrate, statistics_kept
from autodl.nas.cell_encoding import CellEncoding
from autodl.nas.choices import FixedInputs, InputChoice, OpChoice
from autodl.nas.data import NASData
from autodl.nas.decisions import Arch, Decision
from autodl.nas.distributions import Distribution, Gumbel, Independent, Uniform
from autodl.nas.elastic import Elastic, ElasticModule
from autodl.nas.elastic_layers import ElasticBatchNorm2d, ElasticConv2d, ElasticLinear
from autodl.nas.encoded_search import EncodedSearcher
from autodl.nas.evaluators import Evaluation, Evaluator, Predictor, SharedWeights, Trained
from autodl.nas.fitting import FitOptions
from autodl.nas.from_objects import Units, space_from
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
from autodl.nas.strategy import Budget, Callback, Run, Strategy
from autodl.nas.tabular import Tabular

__all__ = [
    "Arch",
    "Budget",
    "Callback",
    "CellEncoding",
    "CellTraining",
    "Chosen",
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
    "FitOptions",
    "FixedInputs",
    "Gate",
    "Gated",
    "Gumbel",
    "Independent",
    "InputChoice",
    "LSTMController",
    "Mask",
    "NASBench201",
    "NASData",
    "NASResult",
    "OneHot",
    "OpChoice",
    "Plan",
    "Population",
    "Predictor",
    "Record",
    "Repeat",
    "Run",
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
    "recalibrate",
    "space_from",
    "statistics_kept",
]


def __getattr__(name: str) -> ModuleType:
    """``spaces`` and ``strategies``, imported where they are first asked for."""
    if name in ("spaces", "strategies"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
