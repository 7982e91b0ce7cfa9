"""Search strategies, one file each, over the shared parts of `autodl.nas`."""

from __future__ import annotations

from autodl.nas.strategies.darts import DARTS
from autodl.nas.strategies.enas import ENAS
from autodl.nas.strategies.engine_search import EngineSearch
from autodl.nas.strategies.fbnet import FBNet
from autodl.nas.strategies.ppo import PPO
from autodl.nas.strategies.proxyless import ProxylessNAS
from autodl.nas.strategies.registry import STRATEGIES, get_strategy
from autodl.nas.strategies.reinforce import REINFORCE
from autodl.nas.strategies.single_path import SinglePath
from autodl.nas.strategies.snas import SNAS

__all__ = [
    "DARTS",
    "ENAS",
    "PPO",
    "REINFORCE",
    "SNAS",
    "STRATEGIES",
    "EngineSearch",
    "FBNet",
    "ProxylessNAS",
    "SinglePath",
    "get_strategy",
]
