"""Searchers propose configs and learn from their reports."""

from autodl.searchers.bayesian import BayesianSearcher
from autodl.searchers.gp import GPSearcher
from autodl.searchers.grid_search import GridSearcher
from autodl.searchers.points import PortfolioSearcher
from autodl.searchers.protocol import BindableSearcher, Searcher
from autodl.searchers.random_search import RandomSearcher
from autodl.searchers.registry import get_searcher

__all__ = [
    "BayesianSearcher",
    "BindableSearcher",
    "GPSearcher",
    "GridSearcher",
    "PortfolioSearcher",
    "RandomSearcher",
    "Searcher",
    "get_searcher",
]
