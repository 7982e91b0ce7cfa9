from __future__ import annotations

from autodl.nas import FitOptions
from autodl.nas.strategies.engine_search import EngineSearch
from autodl.testing.nas_strategies import StrategyContract


class TestEngineSearchContract(StrategyContract):
    def make(self) -> EngineSearch:
        return EngineSearch("evolution", fit=FitOptions(epochs=1))
