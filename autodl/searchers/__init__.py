"""Searchers propose configs and learn from their reports."""

from autodl.searchers.auto import AutoSearcher
from autodl.searchers.bayesian import BayesianSearcher
from autodl.searchers.bohb import BOHBSearcher
from autodl.searchers.cmaes import CMAESSearcher
from autodl.searchers.ehvi import EHVISearcher
from autodl.searchers.evolution import EvolutionSearcher
from autodl.searchers.gp import GPSearcher
from autodl.searchers.grid_search import GridSearcher
from autodl.searchers.mobster import MobsterSearcher
from autodl.searchers.nsga2 import NSGA2Searcher
from autodl.searchers.optuna_bridge import OptunaSearcher
from autodl.searchers.optuna_bridge import OptunaSearcher as Optuna
from autodl.searchers.points import PortfolioSearcher
from autodl.searchers.protocol import BindableSearcher, Searcher
from autodl.searchers.random_search import RandomSearcher
from autodl.searchers.registry import get_searcher
from autodl.searchers.reinforce import ReinforceSearcher
from autodl.searchers.scalarised import ScalarisedSearcher
from autodl.searchers.searcher_base import SearcherBase
from autodl.searchers.skopt_bridge import SkoptSearcher
from autodl.searchers.skopt_bridge import SkoptSearcher as Skopt
from autodl.searchers.sobol import SobolSearcher
from autodl.searchers.tpe import TPESearcher
from autodl.searchers.warm_start import WarmStartSearcher

__all__ = [
    "AutoSearcher",
    "BOHBSearcher",
    "BayesianSearcher",
    "BindableSearcher",
    "CMAESSearcher",
    "EHVISearcher",
    "EvolutionSearcher",
    "GPSearcher",
    "GridSearcher",
    "MobsterSearcher",
    "NSGA2Searcher",
    "Optuna",
    "OptunaSearcher",
    "PortfolioSearcher",
    "RandomSearcher",
    "ReinforceSearcher",
    "ScalarisedSearcher",
    "Searcher",
    "SearcherBase",
    "Skopt",
    "SkoptSearcher",
    "SobolSearcher",
    "TPESearcher",
    "WarmStartSearcher",
    "get_searcher",
]
