"""From a name to a searcher: the one table of names."""

from __future__ import annotations

import inspect
from typing import Any

from autodl.errors import OptionError
from autodl.plugins import look_up
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
from autodl.searchers.protocol import Searcher
from autodl.searchers.random_search import RandomSearcher
from autodl.searchers.reinforce import ReinforceSearcher
from autodl.searchers.skopt_bridge import SkoptSearcher
from autodl.searchers.sobol import SobolSearcher
from autodl.searchers.tpe import TPESearcher

SEARCHERS: dict[str, Any] = {
    "auto": AutoSearcher,
    "random": RandomSearcher,
    "grid": GridSearcher,
    "bayesian": BayesianSearcher,
    "gp": GPSearcher,
    "sobol": SobolSearcher,
    "tpe": TPESearcher,
    "bohb": BOHBSearcher,
    "cmaes": CMAESSearcher,
    "nsga2": NSGA2Searcher,
    "ehvi": EHVISearcher,
    "evolution": EvolutionSearcher,
    "reinforce": ReinforceSearcher,
    "optuna": OptunaSearcher,
    "skopt": SkoptSearcher,
    "mobster": MobsterSearcher,
}


def get_searcher(searcher: str | Searcher, **defaults: Any) -> Searcher:
    """The searcher a user means.

    Args:
        searcher: a name (of `SEARCHERS`, or one a third party offers by an entry point of the group
            ``autodl.searchers``), or an object with `suggest` and `observe`,
            returned as it is.
        defaults: what the caller knows of the run (``max_resource=27``); a named searcher gets those
            its constructor asks for. None means not known.

    Raises:
        UnknownNameError: no searcher has that name; the message lists the names.
        OptionError: not a searcher.

    Example:
        >>> get_searcher("random")
        RandomSearcher()
    """
    made: Any = searcher
    if isinstance(searcher, str):
        factory = look_up("searcher", searcher, SEARCHERS)
        known = {name: value for name, value in defaults.items() if value is not None}
        asked = inspect.signature(factory).parameters if known else {}
        made = factory(**{name: value for name, value in known.items() if name in asked})
    if isinstance(made, type) or not isinstance(made, Searcher):
        raise OptionError(
            f"a searcher is a name or an object with suggest(trial_id) and observe(report), got {made!r}"
        )
    return made
