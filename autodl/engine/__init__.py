"""The search engine behind `autodl.tune`."""

from autodl.engine.driver import Tuner
from autodl.engine.types import Objective, RunOptions

__all__ = [
    "Objective",
    "RunOptions",
    "Tuner",
]
