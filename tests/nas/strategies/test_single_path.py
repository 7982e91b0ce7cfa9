from __future__ import annotations

from autodl.nas import FitOptions
from autodl.nas.strategies.single_path import SinglePath
from autodl.testing.nas_strategies import StrategyContract


class TestSinglePathContract(StrategyContract):
    def make(self) -> SinglePath:
        return SinglePath(
            FitOptions(epochs=3), evaluations=6, population=3, retrain_top=2, retrain_fit=FitOptions(epochs=1)
        )
