"""Search spaces: what can vary, and the decorators that attach it to code."""

from __future__ import annotations

from autodl.spaces.base import Config, Domain, Space, Value
from autodl.spaces.categorical import Categorical
from autodl.spaces.codec import UnitCubeCodec
from autodl.spaces.decorators import TunableFunction, args, func, obj
from autodl.spaces.domains import Bool, Int, Real
from autodl.spaces.nested import Dict, List
from autodl.spaces.objects import ObjectClass, ObjectFunction, ObjectSpec
from autodl.spaces.parameters import Parameter
from autodl.spaces.search_space import SearchSpace

__all__ = [
    "Bool",
    "Categorical",
    "Config",
    "Dict",
    "Domain",
    "Int",
    "List",
    "ObjectClass",
    "ObjectFunction",
    "ObjectSpec",
    "Parameter",
    "Real",
    "SearchSpace",
    "Space",
    "TunableFunction",
    "UnitCubeCodec",
    "Value",
    "args",
    "func",
    "obj",
]
