"""PPO keeps the contract."""

from __future__ import annotations

from autodl.nas import FitOptions
from autodl.nas.controller_learner import ControllerOptions
from autodl.nas.strategies.ppo import PPO
from autodl.testing.nas_strategies import StrategyContract


class TestPPOContract(StrategyContract):
    budget = 5

    def make(self) -> PPO:
        return PPO(ControllerOptions(hidden=8, batch=2), FitOptions(epochs=1), retrain_top=1)
