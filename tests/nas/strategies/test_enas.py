from __future__ import annotations

from autodl.nas import FitOptions
from autodl.nas.controller_learner import ControllerOptions
from autodl.nas.strategies.enas import ENAS
from autodl.testing.nas_strategies import StrategyContract


class TestENASContract(StrategyContract):
    def make(self) -> ENAS:
        return ENAS(FitOptions(epochs=3), ControllerOptions(hidden=8, batch=2), controller_steps=2, samples=4)
