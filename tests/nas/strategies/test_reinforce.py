"""REINFORCE keeps the contract."""

from __future__ import annotations

from autodl.nas import FitOptions
from autodl.nas.controller_learner import ControllerOptions
from autodl.nas.strategies.reinforce import REINFORCE
from autodl.testing.nas_strategies import StrategyContract


class TestREINFORCEContract(StrategyContract):
    budget = 5

    def make(self) -> REINFORCE:
        return REINFORCE(ControllerOptions(hidden=8, batch=2), FitOptions(epochs=1), retrain_top=1)
