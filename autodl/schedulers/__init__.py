"""Schedulers decide how much resource each trial gets."""

from autodl.schedulers.asha import ASHAScheduler
from autodl.schedulers.fifo import FIFOScheduler
from autodl.schedulers.hyperband import HyperbandScheduler
from autodl.schedulers.median import MedianStoppingScheduler
from autodl.schedulers.pbt import PBTScheduler
from autodl.schedulers.protocol import BindableScheduler, Scheduler
from autodl.schedulers.registry import get_scheduler
from autodl.schedulers.sync_halving import SyncHalvingScheduler

__all__ = [
    "ASHAScheduler",
    "BindableScheduler",
    "FIFOScheduler",
    "HyperbandScheduler",
    "MedianStoppingScheduler",
    "PBTScheduler",
    "Scheduler",
    "SyncHalvingScheduler",
    "get_scheduler",
]
