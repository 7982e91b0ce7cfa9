"""Neural architecture search: spaces of ordinary modules, and the methods that search them."""

from __future__ import annotations

from autodl.nas.choices import FixedInputs, InputChoice, OpChoice, Repeat
from autodl.nas.decisions import Arch, Decision
from autodl.nas.elastic import Elastic, ElasticModule
from autodl.nas.elastic_layers import ElasticBatchNorm2d, ElasticConv2d, ElasticLinear
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
from autodl.nas.space import Space

__all__ = [
    "Arch",
    "Chosen",
    "Decision",
    "DecisionModule",
    "Elastic",
    "ElasticBatchNorm2d",
    "ElasticConv2d",
    "ElasticLinear",
    "ElasticModule",
    "FixedInputs",
    "Gate",
    "Gated",
    "InputChoice",
    "Mask",
    "OneHot",
    "OpChoice",
    "Plan",
    "Repeat",
    "Soft",
    "Space",
    "Weighted",
    "active",
]
