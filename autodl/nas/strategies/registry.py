"""From a name to a strategy: the one table of names."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from autodl.errors import OptionError
from autodl.nas.strategies.darts import DARTS
from autodl.nas.strategies.enas import ENAS
from autodl.nas.strategies.engine_search import EngineSearch
from autodl.nas.strategies.fbnet import FBNet
from autodl.nas.strategies.ppo import PPO
from autodl.nas.strategies.proxyless import ProxylessNAS
from autodl.nas.strategies.reinforce import REINFORCE
from autodl.nas.strategies.single_path import SinglePath
from autodl.nas.strategies.snas import SNAS
from autodl.nas.strategy import Strategy
from autodl.plugins import look_up

STRATEGIES: dict[str, Callable[..., Any]] = {
    "darts": DARTS,
    "snas": SNAS,
    "fbnet": FBNet,
    "proxyless": ProxylessNAS,
    "enas": ENAS,
    "single_path": SinglePath,
    "reinforce": REINFORCE,
    "ppo": PPO,
    "random": partial(EngineSearch, "random"),
    "evolution": partial(EngineSearch, "evolution"),
    "asha": partial(EngineSearch, "random", "asha"),
    "mobster": partial(EngineSearch, "mobster", "asha"),
    "engine": EngineSearch,
}


def get_strategy(strategy: str | Strategy, **options: Any) -> Strategy:
    """The strategy a user means.

    Args:
        strategy: a name (of `STRATEGIES`, or one a third party offers by an entry point of the group
            ``autodl.nas_strategies``), or an object with `search`, returned as it is.
        options: of the named strategy's constructor.

    Raises:
        UnknownNameError: no strategy has that name; the message lists the names.
        OptionError: not a strategy, or not one of its options.

    Example:
        >>> get_strategy("darts", order=2).order
        2
    """
    made: Any = strategy
    if isinstance(strategy, str):
        factory = look_up("strategy", strategy, STRATEGIES, group="autodl.nas_strategies")
        try:
            made = factory(**options)
        except TypeError as error:
            raise OptionError(f"strategy {strategy!r}: {error}") from error
    elif options:
        raise OptionError(f"options go with a name; {strategy!r} is made already")
    if isinstance(made, type) or not isinstance(made, Strategy):
        raise OptionError(f"a strategy is a name or an object with search(space, data, ...), got {made!r}")
    return made
